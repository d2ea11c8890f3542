//! Reads `protocol/schema`: the language is described in `protocol/README.md`.

use std::path::Path;

use crate::codegen_model::{Api, Field, File, KeyRow, Kind, Message, Range, Struct, Type};

/// All schema files, in order of their names, and the table of keys.
pub(crate) fn read_all(folder: &Path) -> Result<(Vec<File>, Vec<KeyRow>), String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut names: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|n| n.ends_with(".api"));
    names.sort();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).map_err(|e| format!("{name}: {e}"));
    let files = names.iter().map(|n| file(n, &read(n)?)).collect::<Result<_, String>>()?;
    Ok((files, keys(&read("api_keys.table")?)?))
}

/// One line without its comment: depth in steps of two blanks, words.
struct Line<'t> {
    number: usize,
    depth: usize,
    words: Vec<&'t str>,
    note: Option<&'t str>,
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let numbered = text.lines().enumerate().map(|(i, line)| {
        let (code, note) = line.split_once(" # ").map_or((line, None), |(code, note)| (code, Some(note.trim())));
        let code = if code.starts_with('#') { "" } else { code };
        let depth = (code.len() - code.trim_start().len()) / 2;
        Line { number: i + 1, depth, words: code.split_whitespace().collect(), note }
    });
    numbered.filter(|line| !line.words.is_empty()).collect()
}

/// Parses one file called `source`.
pub(crate) fn file(source: &str, text: &str) -> Result<File, String> {
    let stem = source.trim_end_matches(".api");
    let numbered = stem.starts_with('k') && stem[1..].starts_with(|c: char| c.is_ascii_digit());
    let module = if numbered { stem.split_once('_').map_or(stem, |(_, rest)| rest) } else { stem };
    let notes = text.lines().take_while(|l| l.starts_with('#'));
    let notes = notes.map(|l| l.trim_start_matches('#').trim().to_owned()).collect();
    let mut file = File {
        module: module.to_owned(),
        source: source.to_owned(),
        notes,
        api: None,
        messages: Vec::new(),
        structs: Vec::new(),
    };
    let lines = lines(text);
    let mut rest = lines.as_slice();
    let mut shared: Option<(Range, Option<i16>)> = None;
    while let [head, tail @ ..] = rest {
        let at = |e: String| format!("{source}:{}: {e}", head.number);
        let body = tail.iter().position(|l| l.depth == 0).unwrap_or(tail.len());
        if head.words[0] == "api" {
            shared = Some(api(&mut file, &head.words).map_err(at)?);
        } else if head.words[0] == "struct" {
            apart(&mut file, &head.words, &tail[..body]).map_err(at)?;
        } else {
            let message = message(&mut file, &head.words, shared, &tail[..body]).map_err(at)?;
            file.messages.push(message);
        }
        rest = &tail[body..];
    }
    if file.messages.is_empty() { Err(format!("{source}: no message")) } else { Ok(file) }
}

/// `api 0 Produce  versions 3-13  [legacy 0-2]  flexible 9+  [unstable 6]`; the messages have both ranges.
fn api(file: &mut File, words: &[&str]) -> Result<(Range, Option<i16>), String> {
    let [_, key, name, ..] = words else { return Err("api needs a key and a name".into()) };
    let unstable = attribute(words, "unstable").map(number).transpose()?;
    let (mut all, flexible) = versions(words)?;
    let legacy = attribute(words, "legacy").map(|text| range(text, Range { min: 0, max: i16::MAX })).transpose()?;
    if let Some(legacy) = legacy {
        if legacy.max + 1 != all.min {
            return Err(format!("legacy versions {legacy} do not end where versions {all} begin"));
        }
        all.min = legacy.min;
    }
    file.api = Some(Api { key: number(key)?, name: (*name).to_owned(), unstable, legacy });
    Ok((all, flexible))
}

/// `struct NAME  versions 0-5`, and its fields: one whose uses have different versions.
fn apart(file: &mut File, words: &[&str], body: &[Line<'_>]) -> Result<(), String> {
    let [_, name, ..] = words else { return Err("struct needs a name".into()) };
    let text = attribute(words, "versions").ok_or("versions are missing")?;
    let versions = range(text, Range { min: 0, max: i16::MAX })?;
    let at = file.structs.len();
    file.structs.push(Struct { name: (*name).to_owned(), versions, fields: Vec::new() });
    file.structs[at].fields = fields(file, body, 1, versions)?;
    Ok(())
}

/// `request`, `response` or `message NAME  versions 0-4  flexible 4+  [record 1]`, and its fields.
fn message(
    file: &mut File,
    words: &[&str],
    shared: Option<(Range, Option<i16>)>,
    body: &[Line<'_>],
) -> Result<Message, String> {
    let api = file.api.as_ref().map(|a| a.name.clone());
    let (kind, name, (range, flexible)) = match (words, api, shared) {
        (["request"], Some(api), Some(shared)) => (Kind::Request, format!("{api}Request"), shared),
        (["response"], Some(api), Some(shared)) => (Kind::Response, format!("{api}Response"), shared),
        (["message", name, ..], None, None) => {
            let record = attribute(words, "record").map(number).transpose()?;
            (Kind::Data(record), (*name).to_owned(), versions(words)?)
        }
        _ => return Err(format!("`{}` is neither api, request, response nor message", words.join(" "))),
    };
    let fields = fields(file, body, 1, range)?;
    Ok(Message { kind, body: Struct { name, versions: range, fields }, flexible })
}

/// The fields at `depth`; deeper lines are the struct of the field above them.
fn fields(file: &mut File, body: &[Line<'_>], depth: usize, scope: Range) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    let mut rest = body;
    while let [line, tail @ ..] = rest {
        if line.depth != depth {
            return Err(format!("line {}: indented by {} steps, expected {depth}", line.number, line.depth));
        }
        let nested = tail.iter().position(|l| l.depth <= depth).unwrap_or(tail.len());
        let field = field(line, scope).map_err(|e| format!("line {}: {e}", line.number))?;
        nested_struct(file, &field, &tail[..nested], depth, line.number)?;
        fields.push(field);
        rest = &tail[nested..];
    }
    Ok(fields)
}

fn nested_struct(f: &mut File, field: &Field, body: &[Line<'_>], depth: usize, number: usize) -> Result<(), String> {
    let known = field.ty.struct_name().map(|name| (name, f.find(name).map(|s| s.versions)));
    match (known, body.is_empty()) {
        (Some((name, Some(all))), true) if field.versions.intersect(all) != Some(field.versions) => {
            Err(format!("line {number}: {name} exists in versions {all}, above"))
        }
        (None, true) | (Some((_, Some(_))), true) => Ok(()),
        (None, false) => Err(format!("line {number}: only a struct has fields")),
        (Some((name, None)), true) => Err(format!("line {number}: {name} has no fields, here or above")),
        (Some((name, Some(_))), false) => Err(format!("line {number}: {name} has its fields above")),
        (Some((name, None)), false) => {
            let at = f.structs.len();
            f.structs.push(Struct { name: name.to_owned(), versions: field.versions, fields: Vec::new() });
            f.structs[at].fields = fields(f, body, depth + 1, field.versions)?;
            Ok(())
        }
    }
}

/// `NAME TYPE [VERSIONS] [= DEFAULT] [tag N] [key] [ignorable] [inflexible] [called STRUCT]`
fn field(line: &Line<'_>, scope: Range) -> Result<Field, String> {
    let [name, ty, attributes @ ..] = line.words.as_slice() else { return Err("a field has a name and a type".into()) };
    let (ty, null) = ty.split_once('?').map_or((*ty, None), |(ty, versions)| (ty, Some(versions)));
    let mut rest = attributes;
    let mut versions = scope;
    if let [first, tail @ ..] = rest
        && first.starts_with(|c: char| c.is_ascii_digit())
    {
        versions = range(first, scope)?;
        rest = tail;
    }
    let nullable = null.map(|v| if v.is_empty() { Ok(versions) } else { range(v, versions) }).transpose()?;
    let mut field = Field {
        name: (*name).to_owned(),
        ty: type_of(ty)?,
        versions,
        nullable,
        default: None,
        tag: None,
        key: false,
        ignorable: false,
        inflexible: false,
        called: None,
        note: line.note.map(str::to_owned),
    };
    loop {
        rest = match rest {
            [] => return Ok(field),
            ["=", default, tail @ ..] => (field.default = Some((*default).to_owned()), tail).1,
            ["tag", tag, tail @ ..] => (field.tag = Some(number(tag)?), tail).1,
            ["key", tail @ ..] => (field.key = true, tail).1,
            ["ignorable", tail @ ..] => (field.ignorable = true, tail).1,
            ["inflexible", tail @ ..] => (field.inflexible = true, tail).1,
            ["called", name, tail @ ..] => (field.called = Some((*name).to_owned()), tail).1,
            [word, ..] => return Err(format!("`{word}` is no attribute of a field")),
        };
    }
}

fn type_of(text: &str) -> Result<Type, String> {
    Ok(match text {
        "bool" => Type::Bool,
        "i8" => Type::I8,
        "i16" => Type::I16,
        "u16" => Type::U16,
        "i32" => Type::I32,
        "i64" => Type::I64,
        "f64" => Type::F64,
        "uuid" => Type::Uuid,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "records" => Type::Records,
        _ if text.starts_with(|c: char| c.is_ascii_uppercase()) => Type::Struct(text.to_owned()),
        _ => match text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            Some(item) if !item.starts_with('[') => Type::Array(Box::new(type_of(item)?)),
            _ => return Err(format!("`{text}` is no type")),
        },
    })
}

/// The word behind `name`.
fn attribute<'t>(words: &[&'t str], name: &str) -> Option<&'t str> {
    words.iter().position(|w| *w == name).and_then(|i| words.get(i + 1)).copied()
}

fn versions(words: &[&str]) -> Result<(Range, Option<i16>), String> {
    let text = attribute(words, "versions").ok_or("versions are missing")?;
    let all = range(text, Range { min: 0, max: i16::MAX })?;
    let flexible = attribute(words, "flexible").ok_or("flexible is missing: a version and +, or none")?;
    Ok((all, flexible_from(flexible)?))
}

fn flexible_from(text: &str) -> Result<Option<i16>, String> {
    if text == "none" { Ok(None) } else { number(text.trim_end_matches('+')).map(Some) }
}

/// `5`, `3-7` or `3+`, which must lie in `scope`.
fn range(text: &str, scope: Range) -> Result<Range, String> {
    let (min, max) = match (text.split_once('-'), text.strip_suffix('+')) {
        (Some((min, max)), _) => (number(min)?, number(max)?),
        (None, Some(min)) => (number(min)?, scope.max),
        (None, None) => (number(text)?, number(text)?),
    };
    let range = Range { min, max };
    let inside = min <= max && scope.contains(min) && scope.contains(max);
    if inside { Ok(range) } else { Err(format!("versions {range} are not within {scope}")) }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn keys(text: &str) -> Result<Vec<KeyRow>, String> {
    let row = |line: &Line<'_>| {
        let [key, name, versions, flexible, group] = line.words.as_slice() else {
            return Err(format!("api_keys.table:{}: five columns expected", line.number));
        };
        let all = Range { min: 0, max: i16::MAX };
        Ok(KeyRow {
            key: number(key)?,
            name: (*name).to_owned(),
            versions: range(versions, all)?,
            flexible: flexible_from(flexible)?,
            group: (*group).to_owned(),
        })
    };
    lines(text).iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file() {
        let text = "# A note.\n\napi 7 Thing  versions 1-4  flexible 3+\n\nrequest\n  Names  [Name]?2+  1-3  # who\n    \
                    Text  string  = \"x\"  key\n  Epoch  i32  4  = -1  tag 0  ignorable\n\nresponse\n  Names  [Name]  1-3\n";
        let file = file("k07_thing.api", text).unwrap();
        assert_eq!((file.module.as_str(), file.notes.as_slice()), ("thing", ["A note.".to_owned()].as_slice()));
        let [names, epoch] = file.messages[0].body.fields.as_slice() else { panic!("two fields") };
        assert_eq!((names.versions, names.nullable), (Range { min: 1, max: 3 }, Some(Range { min: 2, max: 3 })));
        assert_eq!((names.note.as_deref(), file.structs[0].fields[0].key), (Some("who"), true));
        assert_eq!((epoch.tag, epoch.default.as_deref(), epoch.ignorable), (Some(0), Some("-1"), true));
        assert_eq!(file.messages[1].body.name, "ThingResponse");
    }

    #[test]
    fn a_struct_may_stand_apart_and_be_called_otherwise() {
        let text = "api 7 Thing  versions 0-4  flexible none\n\nstruct Name  versions 0-4\n  Text  string\n\nrequest\n  \
                    New  [Name]  3+\n  Old  [Name]  0-2  called OldName\n\nresponse\n";
        let file = file("k07_thing.api", text).unwrap();
        let [new, old] = file.messages[0].body.fields.as_slice() else { panic!("two fields") };
        assert_eq!((new.called.as_deref(), old.called.as_deref()), (None, Some("OldName")));
        assert_eq!((file.structs.len(), file.structs[0].versions), (1, Range { min: 0, max: 4 }));
    }

    #[test]
    fn mistakes_say_where() {
        let check = |body: &str, expect: &str| {
            let text = format!("api 7 Thing  versions 1-4  flexible none\nrequest\n{body}\n");
            let error = file("k07_thing.api", &text).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check("  A  int", "line 3: `int` is no type");
        check("  A  i32  5", "versions 5 are not within 1-4");
        check("  A  i32  soon", "`soon` is no attribute");
        check("  A  B", "B has no fields");
        check("      A  i32", "indented by 3 steps");
    }

    #[test]
    fn legacy_versions_precede_the_others() {
        let parse = |line: &str| file("k07_thing.api", &format!("{line}\nrequest\n  A  i32  2+\n  B  i32  0-1\n"));
        let good = parse("api 7 Thing  versions 2-4  legacy 0-1  flexible none").unwrap();
        assert_eq!(good.versions(), Range { min: 0, max: 4 });
        assert_eq!(good.api.unwrap().legacy, Some(Range { min: 0, max: 1 }));
        let error = parse("api 7 Thing  versions 3-4  legacy 0-1  flexible none").unwrap_err();
        assert!(error.contains("legacy versions 0-1 do not end where versions 3-4 begin"), "{error}");
    }
}
