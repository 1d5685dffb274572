//! One pass over a JSON payload: the members that somebody reads, as scalars in numbered slots.
//!
//! Every limit that payloads from outside need is kept here, also in what nobody reads: size,
//! encoding, grammar to the last byte, depth, numbers that no `f64` can hold. A member that is
//! read must not stand twice, since readers disagree on which one counts; a repeat among members
//! that nobody reads is harmless and passes. Knows nothing of columns.

mod plain;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::domain::refusal::DeadReason;

/// The largest payload that is looked at. Readings take some 200 bytes, closures a few thousand.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;
/// The deepest nesting of objects and lists; known feeds stay under ten.
pub const MAX_DEPTH: usize = 32;

pub(super) type Refused = (DeadReason, String);

/// The slot of the payload itself.
const ROOT: usize = 0;
/// The slot of what nobody reads; it stays empty.
const UNREAD: usize = 1;
/// The slot of what stands in a list of texts; it stays empty.
const ELEMENT: usize = 2;

/// What stood in a payload where a slot looks for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found<'p> {
    Absent,
    Null,
    Boolean(bool),
    Integer(i64),
    /// Whole, above `i64::MAX`.
    Large(u64),
    Number(f64),
    Text(Text<'p>),
    /// Its elements are kept only where the slot was asked for texts.
    List(Elements),
    Object,
}

/// A text of a payload. Most have no escapes and are borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Text<'p> {
    Borrowed(&'p str),
    Unescaped { start: usize, len: u32 },
}

/// Where the elements of a list lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Elements {
    start: usize,
    len: u32,
}

impl Found<'_> {
    /// Equality with a scalar of a configuration; numbers compare by value, so 1 equals 1.0. Lists
    /// and objects, which no pipeline file can ask for, equal nothing.
    pub fn equals(self, value: &Value, store: &Store<'_>) -> bool {
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Boolean(a), Value::Bool(b)) => a == *b,
            (Self::Text(a), Value::String(b)) => store.text(a) == b,
            (_, Value::Number(number)) => match (self, number.as_i64(), number.as_f64()) {
                (Self::Integer(a), Some(b), _) => a == b,
                (_, _, Some(b)) => self.as_f64() == Some(b),
                _ => false,
            },
            _ => false,
        }
    }

    /// Any number as a float; whole ones above 2^53 lose their last digits.
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(value as f64),
            Self::Large(value) => Some(value as f64),
            Self::Number(value) => Some(value),
            _ => None,
        }
    }

    /// What it is, in words for a report: ``the text `abc` ``, `a list`, `null`.
    pub fn describe(self, store: &Store<'_>) -> String {
        match self {
            Self::Absent => "absent".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => format!("the number {value}"),
            Self::Large(value) => format!("the number {value}"),
            Self::Number(value) => format!("the number {value}"),
            Self::Text(text) => format!("the text `{}`", shorten(store.text(text))),
            Self::List(_) => "a list".to_owned(),
            Self::Object => "an object".to_owned(),
        }
    }
}

/// The first 48 characters of a text, without control characters.
pub(super) fn shorten(text: &str) -> String {
    let mut short: String =
        text.chars().take(48).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(48).is_some() {
        short.push('…');
    }
    short
}

/// What the payloads of one call could not lend: texts that had escapes, and elements of lists.
#[derive(Debug, Default)]
pub(super) struct Store<'p> {
    unescaped: String,
    elements: Vec<Found<'p>>,
}

impl<'p> Store<'p> {
    pub fn text<'s>(&'s self, text: Text<'p>) -> &'s str {
        match text {
            Text::Borrowed(text) => text,
            Text::Unescaped { start, len } => &self.unescaped[start..start + len as usize],
        }
    }

    /// How much is stored now, for `truncate`.
    pub fn mark(&self) -> (usize, usize) {
        (self.unescaped.len(), self.elements.len())
    }

    /// Forgets what was stored since that mark.
    pub fn truncate(&mut self, (unescaped, elements): (usize, usize)) {
        self.unescaped.truncate(unescaped);
        self.elements.truncate(elements);
    }

    pub fn elements(&self, list: Elements) -> &[Found<'p>] {
        &self.elements[list.start..list.start + list.len as usize]
    }

    /// The texts of a list of texts; other elements are passed over.
    pub fn texts(&self, list: Elements) -> impl Iterator<Item = &str> {
        self.elements(list).iter().filter_map(|element| match element {
            Found::Text(text) => Some(self.text(*text)),
            _ => None,
        })
    }

    /// A payload is small: what is stored of one fits `u32`.
    fn unescape(&mut self, text: &str) -> Text<'p> {
        let start = self.unescaped.len();
        self.unescaped.push_str(text);
        Text::Unescaped { start, len: text.len() as u32 }
    }
}

/// Which members are read, and the slot of each.
#[derive(Debug)]
pub(super) struct Extractor {
    slots: Vec<Slot>,
    /// By slot. It changes how fast a payload is read, nothing else.
    order: Vec<Order>,
}

/// The order of members when they were last seen; `UNREAD` before that.
#[derive(Clone, Copy, Debug)]
struct Order {
    /// The first member that is read of the object in this slot.
    first: usize,
    /// The member that comes after this one in the same object.
    next: usize,
}

impl Order {
    const UNKNOWN: Self = Self { first: UNREAD, next: UNREAD };
}

#[derive(Debug, Default)]
struct Slot {
    /// Its own name, as it stands behind the opening quote: `name":`.
    quoted: Box<[u8]>,
    /// Members to read where an object stands here.
    members: Names,
    /// A list of texts is wanted here.
    keeps_elements: bool,
}

impl Extractor {
    pub fn new() -> Self {
        let fixed = [ROOT, UNREAD, ELEMENT];
        Self {
            slots: fixed.map(|_| Slot::default()).into(),
            order: fixed.map(|_| Order::UNKNOWN).into(),
        }
    }

    /// The slots of the members along a path, the payload's own first, the one it leads to last.
    pub fn follow<'n>(
        &mut self,
        path: impl IntoIterator<Item = &'n str>,
        keeps_elements: bool,
    ) -> Vec<usize> {
        let mut way = vec![ROOT];
        let mut slot = ROOT;
        for name in path {
            slot = self.slots[slot].members.get(name).unwrap_or_else(|| {
                let new = self.slots.len();
                let quoted = format!("{name}\":").into_bytes().into();
                self.slots.push(Slot { quoted, ..Slot::default() });
                self.order.push(Order::UNKNOWN);
                self.slots[slot].members.insert(name, new);
                new
            });
            way.push(slot);
        }
        self.slots[slot].keeps_elements |= keeps_elements;
        way
    }

    /// The slot of a member of the payload.
    pub fn member(&mut self, name: &str) -> usize {
        self.follow([name], false)[1]
    }

    /// Reads a payload: size, encoding, grammar, depth, and an object on top, in this order. Fills
    /// `found` by slot.
    pub fn extract<'p>(
        &mut self,
        payload: &'p [u8],
        found: &mut Vec<Found<'p>>,
        store: &mut Store<'p>,
    ) -> Result<(), Refused> {
        found.clear();
        found.resize(self.slots.len(), Found::Absent);
        if payload.len() > MAX_PAYLOAD_BYTES {
            let detail = format!("{} bytes, at most {MAX_PAYLOAD_BYTES} are read", payload.len());
            return Err((DeadReason::TooLarge, detail));
        }
        let text = std::str::from_utf8(payload).map_err(|error| {
            (DeadReason::NotUtf8, format!("byte {} is no UTF-8", error.valid_up_to()))
        })?;
        if text.trim_ascii().is_empty() {
            return Err((DeadReason::NotJson, "the payload is empty".to_owned()));
        }
        if plain::read(text, &self.slots, &mut self.order, found).is_some() {
            return Ok(());
        }
        found.fill(Found::Absent);
        self.read_any(text, found, store)
    }

    /// Reads whatever JSON there is, or says what is wrong with it.
    fn read_any<'p>(
        &self,
        text: &'p str,
        found: &mut [Found<'p>],
        store: &mut Store<'p>,
    ) -> Result<(), Refused> {
        let mut pass = Pass { slots: &self.slots, found, store, broken: None };
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = Seed { pass: &mut pass, slot: ROOT, depth: 0 }
            .deserialize(&mut reader)
            .and_then(|root| reader.end().map(|()| root));
        match (read, pass.broken) {
            (Ok(Found::Object), _) => {
                found[ROOT] = Found::Object;
                Ok(())
            }
            (Ok(other), _) => {
                let detail = format!("the payload is {}", other.describe(store));
                Err((DeadReason::NotAnObject, detail))
            }
            (Err(_), Some(broken)) => Err(broken),
            (Err(error), None) => {
                let detail = error.to_string();
                // 1e999 is good JSON that no f64 can hold.
                if detail.starts_with("number out of range") {
                    Err((DeadReason::OutOfRange, detail))
                } else {
                    Err((DeadReason::NotJson, detail))
                }
            }
        }
    }
}

/// Names to slots, for a handful of names: open addressing over a hash of a few bytes. The names
/// come from the pipeline, so that no payload can make a look-up longer than there are names.
#[derive(Debug, Default)]
struct Names {
    /// A power of two of places, at most a quarter of them taken; empty where there is no name.
    places: Vec<Option<(Box<str>, usize)>>,
    len: usize,
}

impl Names {
    fn get(&self, name: &str) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        let mut place = self.first_place(name);
        while let Some((known, slot)) = &self.places[place] {
            if **known == *name {
                return Some(*slot);
            }
            place = (place + 1) & (self.places.len() - 1);
        }
        None
    }

    fn first_place(&self, name: &str) -> usize {
        let bytes = name.as_bytes();
        let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
        let last = bytes.len().wrapping_sub(1);
        let word = u32::from_le_bytes([at(0), at(bytes.len() / 2), at(last), bytes.len() as u8]);
        (word.wrapping_mul(0x9e37_79b1) >> 16) as usize & (self.places.len() - 1)
    }

    /// The name that leads to a slot.
    fn name_of(&self, slot: usize) -> &str {
        let known = self.places.iter().flatten().find(|(_, known)| *known == slot);
        known.map_or("", |(name, _)| name)
    }

    /// Adds a name that is not there yet.
    fn insert(&mut self, name: &str, slot: usize) {
        self.len += 1;
        let room = (self.len * 4).next_power_of_two();
        let before = std::mem::take(&mut self.places).into_iter().flatten();
        let all: Vec<(Box<str>, usize)> = before.chain([(name.into(), slot)]).collect();
        self.places.resize(room, None);
        for (name, slot) in all {
            let mut place = self.first_place(&name);
            while self.places[place].is_some() {
                place = (place + 1) & (room - 1);
            }
            self.places[place] = Some((name, slot));
        }
    }
}

/// One pass over one payload.
struct Pass<'x, 'p> {
    slots: &'x [Slot],
    found: &'x mut [Found<'p>],
    store: &'x mut Store<'p>,
    /// The limit that was broken, if one was: the error type of the reader has no room for it.
    broken: Option<Refused>,
}

impl Pass<'_, '_> {
    #[cold]
    fn broken<E: Error>(&mut self, reason: DeadReason, detail: String) -> E {
        self.broken = Some((reason, detail));
        E::custom("refused")
    }

    fn deeper<E: Error>(&mut self, depth: usize) -> Result<usize, E> {
        if depth == MAX_DEPTH {
            let detail = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(self.broken(DeadReason::TooDeep, detail));
        }
        Ok(depth + 1)
    }
}

/// The seed and visitor of one value. Whoever asked puts it into its slot.
struct Seed<'a, 'x, 'p> {
    pass: &'a mut Pass<'x, 'p>,
    slot: usize,
    depth: usize,
}

impl<'p> DeserializeSeed<'p> for Seed<'_, '_, 'p> {
    type Value = Found<'p>;
    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<Found<'p>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'p> Visitor<'p> for Seed<'_, '_, 'p> {
    type Value = Found<'p>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E: Error>(self) -> Result<Found<'p>, E> {
        Ok(Found::Null)
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Found<'p>, E> {
        Ok(Found::Boolean(value))
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Found<'p>, E> {
        Ok(Found::Integer(value))
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Found<'p>, E> {
        Ok(i64::try_from(value).map_or(Found::Large(value), Found::Integer))
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Found<'p>, E> {
        Ok(Found::Number(value))
    }
    fn visit_borrowed_str<E: Error>(self, text: &'p str) -> Result<Found<'p>, E> {
        Ok(Found::Text(Text::Borrowed(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Found<'p>, E> {
        // What nobody reads is not stored either.
        let text = if self.slot == UNREAD { "" } else { text };
        Ok(Found::Text(self.pass.store.unescape(text)))
    }

    fn visit_seq<A: SeqAccess<'p>>(self, mut list: A) -> Result<Found<'p>, A::Error> {
        let Self { pass, slot, depth } = self;
        let depth = pass.deeper(depth)?;
        let keeps = pass.slots[slot].keeps_elements;
        let slot = if keeps { ELEMENT } else { UNREAD };
        let start = pass.store.elements.len();
        while let Some(element) = list.next_element_seed(Seed { pass: &mut *pass, slot, depth })? {
            if keeps {
                pass.store.elements.push(element);
            }
        }
        let len = (pass.store.elements.len() - start) as u32;
        Ok(Found::List(Elements { start, len }))
    }

    fn visit_map<A: MapAccess<'p>>(self, mut object: A) -> Result<Found<'p>, A::Error> {
        let Self { pass, slot, depth } = self;
        let depth = pass.deeper(depth)?;
        let members = &pass.slots[slot].members;
        let mut twice = None;
        while let Some(member) = object.next_key_seed(Name(members))? {
            let slot = match member {
                Some(slot) if matches!(pass.found[slot], Found::Absent) => slot,
                repeated => {
                    twice = twice.or(repeated);
                    UNREAD
                }
            };
            let value = object.next_value_seed(Seed { pass: &mut *pass, slot, depth })?;
            if slot != UNREAD {
                pass.found[slot] = value;
            }
        }
        let Some(twice) = twice else { return Ok(Found::Object) };
        let name = shorten(members.name_of(twice));
        Err(pass.broken(DeadReason::NotJson, format!("the member `{name}` stands twice")))
    }
}

/// A member's name, as the slot that it leads to.
struct Name<'x>(&'x Names);

impl<'p> DeserializeSeed<'p> for Name<'_> {
    type Value = Option<usize>;
    fn deserialize<D: Deserializer<'p>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.get(name))
    }
}
