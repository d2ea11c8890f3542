//! What a schema file says, as data. Reading the text is in `codegen_parse`, writing Rust in `codegen_rust`.

use std::fmt;

/// Versions `min..=max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) min: i16,
    pub(crate) max: i16,
}

impl Range {
    pub(crate) fn iter(self) -> impl Iterator<Item = i16> {
        self.min..=self.max
    }

    pub(crate) fn contains(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    pub(crate) fn intersect(self, other: Self) -> Option<Self> {
        let both = Self { min: self.min.max(other.min), max: self.max.min(other.max) };
        (both.min <= both.max).then_some(both)
    }

    /// The Rust condition under which a version of `scope` lies in this range; `None` if all of them do.
    pub(crate) fn condition(self, scope: Self) -> Option<String> {
        match (self.min > scope.min, self.max < scope.max) {
            (false, false) => None,
            (true, true) if self.min == self.max => Some(format!("version == {}", self.min)),
            (true, false) if self.min == self.max => Some(format!("version == {}", self.min)),
            (false, true) if self.min == self.max => Some(format!("version == {}", self.min)),
            (true, false) => Some(format!("version >= {}", self.min)),
            (false, true) => Some(format!("version <= {}", self.max)),
            (true, true) => Some(format!("({}..={}).contains(&version)", self.min, self.max)),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { write!(f, "{}", self.min) } else { write!(f, "{}-{}", self.min, self.max) }
    }
}

/// The type of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    I8,
    I16,
    U16,
    I32,
    I64,
    F64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

/// One line of a struct.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Kafka's name, in camel case.
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) versions: Range,
    /// Versions that allow null.
    pub(crate) nullable: Option<Range>,
    /// As written: `null`, a number, `true`, `"text"`.
    pub(crate) default: Option<String>,
    pub(crate) tag: Option<u32>,
    /// Part of the key of Kafka's in-memory map; says what is unique, changes no byte.
    pub(crate) key: bool,
    /// Versions without the field drop its value instead of refusing it.
    pub(crate) ignorable: bool,
    /// Keeps the classic encoding in flexible versions.
    pub(crate) inflexible: bool,
    /// Kafka's name of the struct, where another struct of the file has that name already.
    pub(crate) called: Option<String>,
    pub(crate) note: Option<String>,
}

/// A nested struct, where it is first used.
#[derive(Clone, Debug)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) versions: Range,
    pub(crate) fields: Vec<Field>,
}

/// What a message is beside its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
    /// Not sent by itself; inside record keys and values the number says which.
    Data(Option<i16>),
}

/// A request, a response, a header or a record's key or value.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) body: Struct,
    /// First version with compact lengths and tags.
    pub(crate) flexible: Option<i16>,
}

/// The API of a file.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) key: i16,
    pub(crate) name: String,
    /// First version that Kafka itself calls unstable: decodable, never supported.
    pub(crate) unstable: Option<i16>,
    /// Versions that Kafka 4.0 removed (KIP-896): decodable, never advertised as Kafka's own.
    pub(crate) legacy: Option<Range>,
}

/// One schema file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// File name without number and suffix, the Rust module's name.
    pub(crate) module: String,
    /// File name with suffix.
    pub(crate) source: String,
    pub(crate) notes: Vec<String>,
    pub(crate) api: Option<Api>,
    pub(crate) messages: Vec<Message>,
    /// Nested structs, each once, in order of first use.
    pub(crate) structs: Vec<Struct>,
}

impl File {
    pub(crate) fn find(&self, name: &str) -> Option<&Struct> {
        self.structs.iter().find(|s| s.name == name)
    }

    /// Versions of the file's first message: those of the API.
    pub(crate) fn versions(&self) -> Range {
        self.messages.first().map_or(Range { min: 0, max: 0 }, |m| m.body.versions)
    }

    /// First flexible version of the message that `name` belongs to; all messages of a file share it where they share
    /// a struct.
    pub(crate) fn flexible_of(&self, name: &str) -> Option<i16> {
        let uses = |m: &&Message| m.body.name == name || self.reaches(&m.body, name);
        self.messages.iter().find(uses).and_then(|m| m.flexible)
    }

    fn reaches(&self, from: &Struct, name: &str) -> bool {
        from.fields
            .iter()
            .filter_map(|f| f.ty.struct_name())
            .any(|nested| nested == name || self.find(nested).is_some_and(|s| self.reaches(s, name)))
    }

    /// Whether values of the type borrow from the frame.
    pub(crate) fn borrows(&self, ty: &Type) -> bool {
        match ty {
            Type::String | Type::Bytes | Type::Records => true,
            Type::Struct(name) => self.find(name).is_some_and(|s| self.struct_borrows(s)),
            Type::Array(item) => self.borrows(item),
            _ => false,
        }
    }

    pub(crate) fn struct_borrows(&self, s: &Struct) -> bool {
        s.fields.iter().any(|f| self.borrows(&f.ty))
    }
}

impl Type {
    /// The struct inside, if any.
    pub(crate) fn struct_name(&self) -> Option<&str> {
        match self {
            Self::Struct(name) => Some(name),
            Self::Array(item) => item.struct_name(),
            _ => None,
        }
    }
}

/// One row of `api_keys.table`.
#[derive(Clone, Debug)]
pub(crate) struct KeyRow {
    pub(crate) key: i16,
    pub(crate) name: String,
    pub(crate) versions: Range,
    pub(crate) flexible: Option<i16>,
    pub(crate) group: String,
}

/// `TopicId` as `topic_id`; words of Rust, and what the generated code calls the message's version, get a `_` behind.
pub(crate) fn snake(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    if matches!(out.as_str(), "type" | "match" | "move" | "ref" | "version") { format!("{out}_") } else { out }
}
