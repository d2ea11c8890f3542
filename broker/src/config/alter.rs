//! What an alteration makes of the values of one resource (KIP-339). Which values are allowed is said by each kind of
//! resource; which resources there are, by the [controller](crate::controller).

use super::layers::Values;
use super::value::{Kind, words_of};

/// What is to happen to one key, with Kafka's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Operation {
    /// It gets this value.
    Set = 0,
    /// It falls back to what stands behind it.
    Delete = 1,
    /// These words are added to its list, if they are not in it.
    Append = 2,
    /// These words are taken from its list.
    Subtract = 3,
}

impl Operation {
    /// The operation of that number.
    pub fn of(number: i8) -> Option<Self> {
        [Self::Set, Self::Delete, Self::Append, Self::Subtract].into_iter().find(|known| *known as i8 == number)
    }

    /// Its name as tools print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Delete => "DELETE",
            Self::Append => "APPEND",
            Self::Subtract => "SUBTRACT",
        }
    }
}

/// One step of an alteration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The key.
    pub key: String,
    /// What happens to it.
    pub operation: Operation,
    /// The operand; without meaning for [`Operation::Delete`].
    pub value: String,
}

/// Words can be added to lists only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAList {
    /// The key.
    pub key: String,
    /// What was to be done.
    pub operation: Operation,
}

/// What the keys of one kind of resource are like.
pub trait Keys {
    /// The type of a key's values.
    fn kind(&self, key: &str) -> Option<Kind>;
    /// What counts where nothing is set: a list grows from there.
    fn standing(&self, key: &str) -> String;
}

/// `values` after all steps, or nothing of them.
pub fn apply(values: &Values, steps: &[Step], keys: &impl Keys) -> Result<Values, NotAList> {
    let mut altered = values.clone();
    for step in steps {
        if step.operation == Operation::Delete {
            altered.remove(&step.key);
            continue;
        }
        let value = match step.operation {
            Operation::Append | Operation::Subtract if keys.kind(&step.key) != Some(Kind::List) => {
                return Err(NotAList { key: step.key.clone(), operation: step.operation });
            }
            Operation::Append => joined(&before(&altered, &step.key, keys), &step.value),
            Operation::Subtract => without(&before(&altered, &step.key, keys), &step.value),
            Operation::Set | Operation::Delete => step.value.clone(),
        };
        altered.insert(step.key.clone(), value);
    }
    Ok(altered)
}

fn before(values: &Values, key: &str, keys: &impl Keys) -> String {
    values.get(key).cloned().unwrap_or_else(|| keys.standing(key))
}

fn joined(list: &str, more: &str) -> String {
    let mut words: Vec<&str> = words_of(list).collect();
    for word in words_of(more) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(",")
}

fn without(list: &str, less: &str) -> String {
    let gone: Vec<&str> = words_of(less).collect();
    words_of(list).filter(|word| !gone.contains(word)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Some2;

    impl Keys for Some2 {
        fn kind(&self, key: &str) -> Option<Kind> {
            match key {
                "list" => Some(Kind::List),
                "number" => Some(Kind::Int),
                _ => None,
            }
        }

        fn standing(&self, _: &str) -> String {
            "d".to_owned()
        }
    }

    fn check(before: &[(&str, &str)], steps: &[(&str, Operation, &str)], expect: Result<&[(&str, &str)], &str>) {
        let values = |pairs: &[(&str, &str)]| -> Values {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let steps: Vec<Step> = steps
            .iter()
            .map(|(key, operation, value)| Step {
                key: (*key).to_owned(),
                operation: *operation,
                value: (*value).to_owned(),
            })
            .collect();
        let altered = apply(&values(before), &steps, &Some2).map_err(|error| error.key);
        assert_eq!(altered, expect.map(values).map_err(str::to_owned), "{steps:?}");
    }

    #[test]
    fn steps_set_remove_and_work_on_lists() {
        use Operation::{Append, Delete, Set, Subtract};
        check(&[("a", "1")], &[("b", Set, "2")], Ok(&[("a", "1"), ("b", "2")]));
        check(&[("a", "1")], &[("a", Delete, "ignored"), ("b", Delete, "")], Ok(&[]));
        check(&[], &[("list", Append, "x, d ,y")], Ok(&[("list", "d,x,y")]));
        check(&[("list", "x,y")], &[("list", Subtract, "y,z")], Ok(&[("list", "x")]));
        check(&[("list", "")], &[("list", Append, "x")], Ok(&[("list", "x")]));
        check(&[], &[("list", Subtract, "d")], Ok(&[("list", "")]));
        check(&[("a", "1")], &[("b", Set, "2"), ("number", Append, "3")], Err("number"));
        check(&[], &[("unknown", Subtract, "3")], Err("unknown"));
    }
}
