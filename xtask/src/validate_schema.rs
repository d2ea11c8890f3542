//! `validate-schema`: our tables against the definitions inside Kafka's own jars, field by field, version by version.
//!
//! Versions that Kafka 4.0 removed are held against the last jar that has them, all others against 4.3.1's.
//!
//! Both sides are turned into the same list of lines for each version of each message; the first line that differs is
//! shown. Finding and opening jars is in `validate_schema_jar`.

use std::path::Path;

use serde_json::Value;

use crate::codegen::SCHEMA;
use crate::codegen_model::{Field, File, KeyRow, Kind, Message, Range, Struct, Type};
use crate::codegen_parse;
use crate::validate_schema_jar::{self, Definitions, LEGACY_RELEASE, absent};

/// Advertised from 0 although nothing below 3 is served: librdkafka takes the minimum for a sign of what compression a
/// broker knows (KAFKA-18659).
const ADVERTISED_LOWER: &[&str] = &["Produce"];
/// Lost versions in 4.0 that no client ever sent: controllers' and share groups' before they were ready.
const NEVER_CLIENTS: &[&str] =
    &["AlterPartition", "ShareGroupHeartbeat", "ShareGroupDescribe", "ShareFetch", "ShareAcknowledge"];

/// Compares everything; the error lists what differs.
pub(crate) fn run(root: &Path, jar: Option<&Path>) -> Result<(), String> {
    let (files, keys) = codegen_parse::read_all(&root.join(SCHEMA))?;
    let theirs = validate_schema_jar::definitions(root, jar)?;
    let older = validate_schema_jar::legacy_definitions(root)?;
    let mut faults = key_faults(&keys, &theirs);
    faults.extend(undefined(&keys, &files));
    let (mut compared, mut removed) = (0, 0);
    for file in &files {
        for message in &file.messages {
            faults.extend(message_faults(file, message, &theirs));
            compared += current(file, message).iter().count();
            if let Some(older) = &older {
                faults.extend(legacy_faults(file, message, older));
                removed += legacy(file).map_or(0, |range| range.iter().count());
            }
        }
    }
    if faults.is_empty() {
        println!("validate-schema: {} keys and {compared} message versions agree with Kafka's", keys.len());
        match older {
            Some(_) => println!("validate-schema: {removed} message versions agree with Kafka {LEGACY_RELEASE}'s"),
            None => println!("versions that Kafka 4.0 removed: {}", absent("kafka-clients", LEGACY_RELEASE)),
        }
        return Ok(());
    }
    Err(format!("{}\nvalidate-schema: {} differences", faults.join("\n"), faults.len()))
}

fn message_faults(file: &File, m: &Message, theirs: &Definitions) -> Vec<String> {
    let name = &m.body.name;
    let Some(json) = theirs.get(name) else { return vec![format!("{name}: Kafka has no such message")] };
    let mut faults = Vec::new();
    let mut same = |what: &str, ours: String, kafka: String| {
        if ours != kafka {
            faults.push(format!("{name}: {what}: ours {ours}, Kafka's {kafka}"));
        }
    };
    let versions = their_range(json, "validVersions");
    let ours = current(file, m);
    let flexible = their_range(json, "flexibleVersions").and_then(|f| f.intersect(m.body.versions)).map(|f| f.min);
    same("versions", format!("{:?}", Some(ours)), format!("{versions:?}"));
    same("flexible from", format!("{:?}", m.flexible), format!("{flexible:?}"));
    same("key", format!("{:?}", our_key(file, m)), format!("{:?}", json["apiKey"].as_i64()));
    if m.kind == Kind::Request {
        let unstable = json["latestVersionUnstable"] == true;
        let ours = file.api.as_ref().and_then(|a| a.unstable);
        same("unstable", format!("{ours:?}"), format!("{:?}", unstable.then_some(m.body.versions.max)));
    }
    faults.extend(ours.iter().filter_map(|version| version_fault(file, m, json, version, facts)));
    faults
}

/// The versions that are Kafka 4.3.1's.
fn current(file: &File, m: &Message) -> Range {
    Range { min: legacy(file).map_or(m.body.versions.min, |old| old.max + 1), ..m.body.versions }
}

fn legacy(file: &File) -> Option<Range> {
    file.api.as_ref().and_then(|api| api.legacy)
}

/// The versions below those of 4.3.1, of which there must be as many as a broker of the older release served.
fn legacy_faults(file: &File, m: &Message, older: &Definitions) -> Vec<String> {
    let name = &m.body.name;
    let Some(json) = older.get(name).filter(|json| file.api.is_some() && json["latestVersionUnstable"] != true) else {
        return Vec::new();
    };
    let now = current(file, m);
    let kafka = their_range(json, "validVersions")
        .filter(|all| all.min < now.min)
        .map(|all| Range { min: all.min, max: now.min - 1 });
    if legacy(file) != kafka && !NEVER_CLIENTS.contains(&name.trim_end_matches("Request").trim_end_matches("Response"))
    {
        let (ours, kafka) = (legacy(file), kafka);
        return vec![format!("{name}: legacy versions: ours {ours:?}, Kafka {LEGACY_RELEASE}'s {kafka:?}")];
    }
    legacy(file).into_iter().flat_map(Range::iter).filter_map(|v| version_fault(file, m, json, v, wire_facts)).collect()
}

/// The first line that differs in one version.
fn version_fault(file: &File, m: &Message, json: &Value, version: i16, show: Show) -> Option<String> {
    let mut ours = Vec::new();
    our_lines(&mut ours, file, &m.body, version, 0, show);
    let mut kafka = Vec::new();
    their_lines(&mut kafka, &json["fields"], &json["commonStructs"], version, 0, show);
    let at = (0..ours.len().max(kafka.len())).find(|&i| ours.get(i) != kafka.get(i))?;
    Some(format!("{}: v{version}: ours {:?}, Kafka's {:?}", m.body.name, ours.get(at), kafka.get(at)))
}

fn our_key(file: &File, m: &Message) -> Option<i64> {
    match m.kind {
        Kind::Data(record) => record.map(i64::from),
        Kind::Request | Kind::Response => file.api.as_ref().map(|a| a.key.into()),
    }
}

/// One line a field that exists in `version`, nested ones below.
fn our_lines(out: &mut Vec<String>, file: &File, s: &Struct, version: i16, depth: usize, show: Show) {
    for f in s.fields.iter().filter(|f| f.versions.contains(version)) {
        let nullable = f.nullable.is_some_and(|n| n.contains(version));
        let flags = [f.key, f.ignorable, f.inflexible];
        let (default, tag) = (f.default.as_deref(), f.tag.map(i64::from));
        out.push(show(depth, &f.name, &their_name(f), nullable, default, tag, flags));
        if let Some(nested) = f.ty.struct_name().and_then(|n| file.find(n)) {
            our_lines(out, file, nested, version, depth + 1, show);
        }
    }
}

/// How a field is told: depth, name, type, whether it may be null, default, tag; key, ignorable, inflexible.
type Show = fn(usize, &str, &str, bool, Option<&str>, Option<i64>, [bool; 3]) -> String;

/// As [`facts`], but for what happens to a field that a version lacks, which later versions changed.
fn wire_facts(
    depth: usize,
    name: &str,
    ty: &str,
    nullable: bool,
    default: Option<&str>,
    tag: Option<i64>,
    [key, _, inflexible]: [bool; 3],
) -> String {
    facts(depth, name, ty, nullable, default, tag, [key, false, inflexible])
}

/// What both sides must say alike.
fn facts(
    depth: usize,
    name: &str,
    ty: &str,
    nullable: bool,
    default: Option<&str>,
    tag: Option<i64>,
    [key, ignorable, inflexible]: [bool; 3],
) -> String {
    let null = if nullable { "?" } else { "" };
    format!(
        "{:depth$}{name} {ty}{null} default {default:?} tag {tag:?} key {key} ignorable {ignorable} inflexible {inflexible}",
        ""
    )
}

/// The type as Kafka's definitions write it.
fn their_name(f: &Field) -> String {
    match (&f.called, &f.ty) {
        (Some(name), Type::Array(_)) => format!("[]{name}"),
        (Some(name), _) => name.clone(),
        (None, ty) => our_type(ty),
    }
}

fn our_type(ty: &Type) -> String {
    match ty {
        Type::Bool => "bool".into(),
        Type::I8 => "int8".into(),
        Type::I16 => "int16".into(),
        Type::U16 => "uint16".into(),
        Type::I32 => "int32".into(),
        Type::I64 => "int64".into(),
        Type::F64 => "float64".into(),
        Type::Uuid => "uuid".into(),
        Type::String => "string".into(),
        Type::Bytes => "bytes".into(),
        Type::Records => "records".into(),
        Type::Struct(name) => name.clone(),
        Type::Array(item) => format!("[]{}", our_type(item)),
    }
}

fn their_lines(out: &mut Vec<String>, fields: &Value, structs: &Value, version: i16, depth: usize, show: Show) {
    for f in list(fields) {
        let has = |what: &str| their_range(f, what).is_some_and(|r| r.contains(version));
        if !has("versions") {
            continue;
        }
        let (name, ty) = (capital(text(f, "name")), text(f, "type"));
        let default = their_default(ty, &f["default"]);
        let tag = f["tag"].as_i64().filter(|_| has("taggedVersions"));
        let inflexible = f["flexibleVersions"] == "none";
        let flags = [is_true(&f["mapKey"]), is_true(&f["ignorable"]), inflexible];
        out.push(show(depth, &name, ty, has("nullableVersions"), default.as_deref(), tag, flags));
        let shared = list(structs).iter().find(|s| text(s, "name") == ty.trim_start_matches("[]"));
        let nested = if f["fields"].is_array() { &f["fields"] } else { shared.map_or(&Value::Null, |s| &s["fields"]) };
        their_lines(out, nested, structs, version, depth + 1, show);
    }
}

/// A default as our tables write it.
fn their_default(ty: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(s) if ty == "string" && s != "null" => Some(format!("{s:?}")),
        Value::String(s) => Some(s.to_lowercase()),
        other => Some(other.to_string()),
    }
}

fn key_faults(keys: &[KeyRow], theirs: &Definitions) -> Vec<String> {
    let mut faults = Vec::new();
    let requests =
        theirs.iter().filter(|(name, json)| name.ends_with("Request") && text(json, "validVersions") != "none");
    let mut known = 0;
    for (name, json) in requests {
        known += 1;
        let name = name.trim_end_matches("Request");
        match keys.iter().find(|k| k.name == name) {
            Some(row) => faults.extend(row_fault(row, json)),
            None => faults.push(format!("api_keys.table: {name} is missing")),
        }
    }
    if known != keys.len() {
        faults.push(format!("api_keys.table: {} rows, Kafka has {known} APIs", keys.len()));
    }
    faults
}

/// Keys that clients may send and no file defines.
fn undefined(keys: &[KeyRow], files: &[File]) -> Vec<String> {
    let defined = |row: &&KeyRow| files.iter().any(|f| f.api.as_ref().is_some_and(|a| a.key == row.key));
    let missing = keys.iter().filter(|row| row.group != "controller" && !defined(row));
    missing.map(|row| format!("api_keys.table: {} ({}) has no .api file", row.name, row.key)).collect()
}

fn row_fault(row: &KeyRow, json: &Value) -> Option<String> {
    let mut versions = their_range(json, "validVersions")?;
    versions.max -= i16::from(json["latestVersionUnstable"] == true);
    if ADVERTISED_LOWER.contains(&row.name.as_str()) {
        versions.min = 0;
    }
    let flexible = their_range(json, "flexibleVersions").map(|f| f.min.max(versions.min));
    let on_broker = list(&json["listeners"]).iter().any(|l| l == "broker");
    let ours = (row.key.into(), row.versions, row.flexible, row.group != "controller");
    let kafka = (json["apiKey"].as_i64()?, versions, flexible, on_broker);
    (ours != kafka).then(|| format!("api_keys.table: {}: ours {ours:?}, Kafka's {kafka:?}", row.name))
}

fn their_range(json: &Value, what: &str) -> Option<Range> {
    let text = json[what].as_str()?;
    let number = |t: &str| t.parse::<i16>().ok();
    match (text.split_once('-'), text.strip_suffix('+')) {
        (Some((min, max)), _) => Some(Range { min: number(min)?, max: number(max)? }),
        (None, Some(min)) => Some(Range { min: number(min)?, max: i16::MAX }),
        (None, None) => number(text).map(|only| Range { min: only, max: only }),
    }
}

fn list(json: &Value) -> &[Value] {
    json.as_array().map_or(&[], Vec::as_slice)
}

fn text<'j>(json: &'j Value, what: &str) -> &'j str {
    json[what].as_str().unwrap_or_default()
}

/// Kafka writes flags both as booleans and as strings.
fn is_true(json: &Value) -> bool {
    *json == true || *json == "true"
}

fn capital(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "api 7 Thing  versions 1-4  flexible 3+\n\nrequest\n  Names  [Name]?2+  1-3  = null\n    \
                        Text  string  key\n  Epoch  i32  4  = -1  tag 0  ignorable\n\nresponse\n  Code  i16\n";
    const KAFKAS: &str = r#"{"apiKey": 7, "validVersions": "1-4", "flexibleVersions": "3+", "fields": [
        {"name": "Names", "type": "[]Name", "versions": "0-3", "nullableVersions": "2+", "default": "null", "fields": [
            {"name": "text", "type": "string", "versions": "0+", "mapKey": true}]},
        {"name": "Epoch", "type": "int32", "versions": "4+", "taggedVersions": "4+", "tag": 0, "default": "-1",
         "ignorable": true}]}"#;

    fn faults(kafkas: &str) -> Vec<String> {
        let file = codegen_parse::file("k07_thing.api", OURS).unwrap();
        let theirs = Definitions::from([("ThingRequest".to_owned(), serde_json::from_str(kafkas).unwrap())]);
        message_faults(&file, &file.messages[0], &theirs)
    }

    #[test]
    fn equal_definitions() {
        assert_eq!(faults(KAFKAS), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_difference_is_seen() {
        let table = [
            ("\"apiKey\": 7", "\"apiKey\": 8", "key"),
            ("\"1-4\"", "\"1-5\"", "versions"),
            ("\"flexibleVersions\": \"3+\"", "\"flexibleVersions\": \"2+\"", "flexible from"),
            ("\"text\"", "\"label\"", "v1"),
            ("\"type\": \"string\"", "\"type\": \"bytes\"", "v1"),
            ("\"nullableVersions\": \"2+\"", "\"nullableVersions\": \"3+\"", "v2"),
            ("\"versions\": \"0-3\"", "\"versions\": \"0-2\"", "v3"),
            ("\"default\": \"-1\"", "\"default\": \"0\"", "v4"),
            ("\"tag\": 0", "\"tag\": 1", "v4"),
            (",\n         \"ignorable\": true", "", "v4"),
            (", \"mapKey\": true", "", "v1"),
        ];
        for (from, to, expect) in table {
            let changed = KAFKAS.replace(from, to);
            assert_ne!(changed, KAFKAS, "{from}");
            let faults = faults(&changed);
            assert!(faults[0].starts_with(&format!("ThingRequest: {expect}:")), "{from}: {faults:?}");
        }
    }

    fn faults_of_old(line: &str, kafkas: &str) -> Vec<String> {
        let ours = format!("{line}\n\nrequest\n  Old  i32  0-1\n  New  i64  1+  ignorable\n\nresponse\n  Code  i16\n");
        let file = codegen_parse::file("k07_thing.api", &ours).unwrap();
        let older = Definitions::from([("ThingRequest".to_owned(), serde_json::from_str(kafkas).unwrap())]);
        legacy_faults(&file, &file.messages[0], &older)
    }

    #[test]
    fn removed_versions_are_held_against_the_older_release() {
        let kafkas = r#"{"apiKey": 7, "validVersions": "0-4", "flexibleVersions": "none", "fields": [
            {"name": "Old", "type": "int32", "versions": "0-1"}, {"name": "New", "type": "int64", "versions": "1+"}]}"#;
        let line = "api 7 Thing  versions 2-5  legacy 0-1  flexible none";
        assert_eq!(faults_of_old(line, kafkas), Vec::<String>::new(), "ignorable may differ");
        let invented = faults_of_old(line, &kafkas.replace("\"0-4\"", "\"1-4\""));
        assert!(invented[0].starts_with("ThingRequest: legacy versions: ours"), "{invented:?}");
        let changed = faults_of_old(line, &kafkas.replace("int32", "int16"));
        assert!(changed[0].starts_with("ThingRequest: v0:"), "{changed:?}");
    }
}
