//! From a direction to what a writer is asked, and from its draft to words.
//!
//! [`Requests`] turns facts into slots that fit the space, a writer (the [`TemplateWriter`] is
//! always ready) answers with a draft, [`fill`] puts the facts in, [`multi`] marks a sign's rows
//! up for its controller, [`voice()`] a vehicle's text for speech. Knows nothing of any model, and
//! does not judge what a draft says: that is the guard's affair.

mod crossings;
mod fill;
mod font;
mod multi;
mod phrases;
mod requests;
mod template;
mod voice;

#[cfg(test)]
mod corpus;

pub use fill::{FillError, fill};
pub use font::{FontError, SignFont};
pub use multi::{MultiError, multi, rows_of};
pub use requests::{Requests, seed};
pub use template::TemplateWriter;
pub use voice::voice;

/// Whether a sign's character set has this: capitals without accents, digits, and the marks that
/// names are written with. Narrower than any sign, so that a name shows on each.
fn showable(c: char) -> bool {
    matches!(c, 'A'..='Z' | '0'..='9' | ' ' | '\'' | '-' | '.')
}

/// The length of a text in sign columns or message characters.
fn width(text: &str) -> usize {
    text.chars().count()
}
