//! The fast way through a payload that holds nothing unusual: no escapes, no exponents, no number
//! of more than 15 digits, no repeated member. It decides nothing else: whatever it does not take,
//! good or bad, is read again by the general reader, which knows what is wrong.

use super::{ELEMENT, Elements, Found, MAX_DEPTH, ROOT, Slot, Text, UNREAD};

/// So many digits lie under 2^53, and so do these powers: a quotient of both is the nearest `f64`.
const MAX_DIGITS: usize = 15;
const POWERS_OF_TEN: [f64; MAX_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Fills the slots of `found` from a payload with an object on top; `None` where the payload is not
/// plain, and then what was filled means nothing.
pub(super) fn read<'p>(
    text: &'p str,
    slots: &[Slot],
    found: &mut [Found<'p>],
    elements: &mut Vec<Found<'p>>,
) -> Option<()> {
    let kept = elements.len();
    let mut scanner = Scanner { text, at: 0, slots, found, elements };
    let is_object = scanner.token() == Some(b'{') && scanner.object(ROOT, 0).is_some();
    if is_object && scanner.token().is_none() {
        found[ROOT] = Found::Object;
        return Some(());
    }
    elements.truncate(kept);
    None
}

struct Scanner<'x, 'p> {
    text: &'p str,
    at: usize,
    slots: &'x [Slot],
    found: &'x mut [Found<'p>],
    elements: &'x mut Vec<Found<'p>>,
}

impl<'p> Scanner<'_, 'p> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no space, passed by; `None` at the end.
    #[inline]
    fn token(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek()?;
            self.at += 1;
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(byte);
            }
        }
    }

    #[inline]
    fn value(&mut self, slot: usize, depth: usize) -> Option<Found<'p>> {
        match self.token()? {
            b'"' => {
                let start = self.at;
                let end = self.string_end()?;
                Some(Found::Text(Text::Borrowed(self.text.get(start..end)?)))
            }
            first @ (b'-' | b'0'..=b'9') => self.number(first),
            open @ (b'{' | b'[') => self.nested(open, slot, depth),
            b't' => self.word(b"rue", Found::Boolean(true)),
            b'f' => self.word(b"alse", Found::Boolean(false)),
            b'n' => self.word(b"ull", Found::Null),
            _ => None,
        }
    }

    /// Apart from `value`, so that scalars are read in place.
    #[inline(never)]
    fn nested(&mut self, open: u8, slot: usize, depth: usize) -> Option<Found<'p>> {
        if depth == MAX_DEPTH {
            None
        } else if open == b'{' {
            self.object(slot, depth)
        } else {
            self.list(slot, depth)
        }
    }

    fn word(&mut self, rest: &[u8], found: Found<'p>) -> Option<Found<'p>> {
        let is_it = self.text.as_bytes()[self.at..].starts_with(rest);
        self.at += rest.len();
        is_it.then_some(found)
    }

    fn object(&mut self, slot: usize, depth: usize) -> Option<Found<'p>> {
        let slots = self.slots;
        let members = &slots[slot].members;
        let mut token = self.token()?;
        if token == b'}' {
            return Some(Found::Object);
        }
        loop {
            if token != b'"' {
                return None;
            }
            let start = self.at;
            let end = self.string_end()?;
            if self.token()? != b':' {
                return None;
            }
            let name = &self.text.as_bytes()[start..];
            let slot = members.get_at(name, end - start).unwrap_or(UNREAD);
            if !matches!(self.found[slot], Found::Absent) {
                return None;
            }
            let value = self.value(slot, depth + 1)?;
            if slot != UNREAD {
                self.found[slot] = value;
            }
            match self.token()? {
                b',' => token = self.token()?,
                b'}' => return Some(Found::Object),
                _ => return None,
            }
        }
    }

    fn list(&mut self, slot: usize, depth: usize) -> Option<Found<'p>> {
        let keeps = self.slots[slot].keeps_elements;
        let start = self.elements.len();
        let first = self.at;
        if self.token()? == b']' {
            return Some(Found::List(Elements { start, len: 0 }));
        }
        self.at = first;
        loop {
            let element = self.value(if keeps { ELEMENT } else { UNREAD }, depth + 1)?;
            if keeps {
                self.elements.push(element);
            }
            match self.token()? {
                b',' => {}
                b']' => break,
                _ => return None,
            }
        }
        let len = (self.elements.len() - start) as u32;
        Some(Found::List(Elements { start, len }))
    }

    /// The end of a text without escapes, from behind its opening quote; goes on behind the closing
    /// one.
    fn string_end(&mut self) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        let end = loop {
            let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) else {
                let ends = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
                break at + bytes.get(at..)?.iter().position(ends)?;
            };
            let ends = string_ends(u64::from_le_bytes(*eight));
            if ends != 0 {
                break at + ends.trailing_zeros() as usize / 8;
            }
            at += 8;
        };
        self.at = end + 1;
        (bytes[end] == b'"').then_some(end)
    }

    fn number(&mut self, first: u8) -> Option<Found<'p>> {
        let negative = first == b'-';
        if !negative {
            self.at -= 1;
        }
        let leading_zero = self.peek()? == b'0';
        let mut digits = 0;
        let whole = self.digits(&mut digits);
        if whole == 0 || whole > 1 && leading_zero {
            return None;
        }
        let mut decimals = 0;
        let point = self.peek() == Some(b'.');
        if point {
            self.at += 1;
            decimals = self.digits(&mut digits);
            if decimals == 0 {
                return None;
            }
        }
        if whole + decimals > MAX_DIGITS || matches!(self.peek(), Some(b'e' | b'E')) {
            return None;
        }
        if point {
            let value = digits as f64 / POWERS_OF_TEN[decimals];
            return Some(Found::Number(if negative { -value } else { value }));
        }
        match (negative, digits) {
            // A negative zero is no integer.
            (true, 0) => None,
            (true, _) => Some(Found::Integer(-digits)),
            (false, _) => Some(Found::Integer(digits)),
        }
    }

    /// Appends decimal digits to a number and counts them; more than it can hold make it wrong.
    fn digits(&mut self, number: &mut i64) -> usize {
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            *number = number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            self.at += 1;
        }
        self.at - start
    }
}

/// The lowest high bit that is set marks the first of eight bytes that ends a run of plain text: a
/// quote, a backslash or a control character (Mycroft's test for bytes under a limit).
fn string_ends(eight: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let under = |bytes: u64, limit: u64| bytes.wrapping_sub(ONES * limit) & !bytes;
    let equal = |byte: u8| under(eight ^ (ONES * u64::from(byte)), 1);
    (under(eight, 0x20) | equal(b'"') | equal(b'\\')) & (ONES << 7)
}
