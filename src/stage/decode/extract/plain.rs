//! The fast way through a payload that holds nothing unusual: one line, objects of scalars, no
//! escapes, no exponents, no number of more than 15 digits, no repeated member. It decides nothing
//! else: whatever it does not take, good or bad, is read again by the general reader, which knows
//! what is wrong.

use super::{Found, MAX_DEPTH, Order, ROOT, Slot, Text, UNREAD};

/// So many digits lie under 2^53, and so do these powers: a quotient of both is the nearest `f64`.
const MAX_DIGITS: usize = 15;
const POWERS_OF_TEN: [f64; MAX_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Fills the slots of `found` from a payload with an object on top; `None` where the payload is not
/// plain, and then what was filled means nothing.
///
/// `order` is kept up to date: most payloads have the order of the one before, and comparing a name
/// costs less than looking it up.
pub(super) fn read<'p>(
    text: &'p str,
    slots: &[Slot],
    order: &mut [Order],
    found: &mut [Found<'p>],
) -> Option<()> {
    // Without an early end, so that many bytes are looked at together.
    let is_unusual = |byte| u8::from(byte < b' ') | u8::from(byte == b'\\');
    if text.bytes().fold(0, |any, byte| any | is_unusual(byte)) != 0 {
        return None;
    }
    let mut scanner = Scanner { text, at: 0, slots, order, found };
    if scanner.token()? != b'{' {
        return None;
    }
    scanner.object(ROOT, 0)?;
    if scanner.token().is_some() {
        return None;
    }
    found[ROOT] = Found::Object;
    Some(())
}

struct Scanner<'x, 'p> {
    /// Without control characters and backslashes: a text of it ends at the next quote.
    text: &'p str,
    at: usize,
    slots: &'x [Slot],
    order: &'x mut [Order],
    found: &'x mut [Found<'p>],
}

impl<'p> Scanner<'_, 'p> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no space, passed by; `None` at the end.
    fn token(&mut self) -> Option<u8> {
        loop {
            let byte = self.peek()?;
            self.at += 1;
            if byte != b' ' {
                return Some(byte);
            }
        }
    }

    /// The members of an object, from behind its opening brace to behind its closing one.
    fn object(&mut self, slot: usize, depth: usize) -> Option<()> {
        if depth == MAX_DEPTH {
            return None;
        }
        let mut before = None;
        let mut token = self.token()?;
        if token == b'}' {
            return Some(());
        }
        loop {
            if token != b'"' {
                return None;
            }
            let member = self.name(slot, before)?;
            let value = self.value(member, depth + 1)?;
            if member != UNREAD {
                if !matches!(self.found[member], Found::Absent) {
                    return None;
                }
                self.found[member] = value;
                before = Some(member);
            }
            // Mostly the next member follows without a space.
            if self.text.as_bytes()[self.at..].starts_with(b",\"") {
                self.at += 2;
                continue;
            }
            token = self.token()?;
            if token == b'}' {
                return Some(());
            }
            if token != b',' {
                return None;
            }
            token = self.token()?;
        }
    }

    /// The slot that a member's name leads to, from behind its opening quote to behind its colon.
    fn name(&mut self, object: usize, before: Option<usize>) -> Option<usize> {
        let rest = &self.text.as_bytes()[self.at..];
        let guess = before.map_or(self.order[object].first, |before| self.order[before].next);
        let expected = &self.slots[guess].quoted;
        if guess != UNREAD && rest.starts_with(expected) {
            self.at += expected.len();
            return Some(guess);
        }
        let start = self.at;
        let end = self.string_end()?;
        if self.token()? != b':' {
            return None;
        }
        let members = &self.slots[object].members;
        let Some(member) = members.get(self.text.get(start..end)?) else { return Some(UNREAD) };
        match before {
            None => self.order[object].first = member,
            Some(before) => self.order[before].next = member,
        }
        Some(member)
    }

    fn value(&mut self, slot: usize, depth: usize) -> Option<Found<'p>> {
        match self.token()? {
            b'"' => {
                let start = self.at;
                let end = self.string_end()?;
                Some(Found::Text(Text::Borrowed(self.text.get(start..end)?)))
            }
            first @ (b'-' | b'0'..=b'9') => self.number(first),
            b'{' => self.object(slot, depth).map(|()| Found::Object),
            b't' => self.word(b"rue", Found::Boolean(true)),
            b'f' => self.word(b"alse", Found::Boolean(false)),
            b'n' => self.word(b"ull", Found::Null),
            _ => None,
        }
    }

    fn word(&mut self, rest: &[u8], found: Found<'p>) -> Option<Found<'p>> {
        let is_it = self.text.as_bytes()[self.at..].starts_with(rest);
        self.at += rest.len();
        is_it.then_some(found)
    }

    /// The end of a text, from behind its opening quote; goes on behind the closing one.
    fn string_end(&mut self) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        let end = loop {
            let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) else {
                break at + bytes.get(at..)?.iter().position(|byte| *byte == b'"')?;
            };
            let quotes = quotes(u64::from_le_bytes(*eight));
            if quotes != 0 {
                break at + quotes.trailing_zeros() as usize / 8;
            }
            at += 8;
        };
        self.at = end + 1;
        Some(end)
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

/// The lowest high bit that is set marks the first quote among eight bytes (Mycroft's test).
fn quotes(eight: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let zero_where_quote = eight ^ (ONES * u64::from(b'"'));
    zero_where_quote.wrapping_sub(ONES) & !zero_where_quote & (ONES << 7)
}
