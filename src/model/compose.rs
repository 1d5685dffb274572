//! Several texts side by side along their constraints, until each is at its end.
//!
//! Whoever chooses (a model, chance) is asked for all texts at once, and only where there is a
//! choice: forced tokens are passed on with the next question. Knows nothing of scores.

use crate::ports::{Expired, WriterError};

use super::constraint::Constraint;
use super::vocabulary::Token;

/// A text that has come to a choice.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    /// Which of the requests.
    pub nth: usize,
    /// What was written since this text was last asked about.
    pub since: &'a [Token],
    /// Two or more to choose from.
    pub allowed: &'a [Token],
    pub constraint: &'a Constraint<'a>,
}

struct Text<'g> {
    constraint: Constraint<'g>,
    tokens: Vec<Token>,
    /// Tokens that the one who chooses has heard of.
    read: usize,
    allowed: Vec<Token>,
}

impl Text<'_> {
    /// Goes on while nothing is to be chosen; whether the text is at its end.
    fn advance(&mut self) -> Result<bool, WriterError> {
        loop {
            self.constraint.allowed(&mut self.allowed);
            let [only] = self.allowed.as_slice() else { return Ok(false) };
            let only = *only;
            if self.take(only)? {
                return Ok(true);
            }
        }
    }

    /// Takes a token; whether the text is at its end.
    fn take(&mut self, token: Token) -> Result<bool, WriterError> {
        if !self.constraint.push(token) {
            return Err(WriterError::Failed("a token was chosen that may not follow".to_owned()));
        }
        if self.constraint.is_finished() {
            return Ok(true);
        }
        self.tokens.push(token);
        Ok(false)
    }
}

type Written = Result<Vec<Token>, WriterError>;

/// Answers each question with a token.
type Choose<'c> = dyn FnMut(&[Ask<'_>]) -> Result<Vec<Token>, WriterError> + 'c;

/// The texts under these constraints, in their order. `choose` answers each question with a token;
/// where it fails, all texts that are open fail with it.
pub(super) fn compose(
    constraints: Vec<Result<Constraint<'_>, WriterError>>,
    expired: &Expired<'_>,
    choose: &mut Choose<'_>,
) -> Vec<Written> {
    let mut done: Vec<Option<Written>> = constraints.iter().map(|_| None).collect();
    let mut open: Vec<(usize, Text<'_>)> = Vec::new();
    for (nth, constraint) in constraints.into_iter().enumerate() {
        match constraint {
            Ok(constraint) => {
                let (tokens, allowed) = (Vec::new(), Vec::new());
                open.push((nth, Text { constraint, tokens, read: 0, allowed }));
            }
            Err(error) => done[nth] = Some(Err(error)),
        }
    }
    while !open.is_empty() {
        if expired() {
            for (nth, _) in open.drain(..) {
                done[nth] = Some(Err(WriterError::Late));
            }
            break;
        }
        open.retain_mut(|(nth, text)| {
            done[*nth] = text
                .advance()
                .map(|ended| ended.then(|| std::mem::take(&mut text.tokens)))
                .transpose();
            done[*nth].is_none()
        });
        let asks: Vec<Ask<'_>> = open
            .iter()
            .map(|(nth, text)| Ask {
                nth: *nth,
                since: &text.tokens[text.read..],
                allowed: &text.allowed,
                constraint: &text.constraint,
            })
            .collect();
        if asks.is_empty() {
            break;
        }
        let chosen = match choose(&asks) {
            Ok(chosen) => chosen,
            Err(error) => {
                for (nth, _) in open.drain(..) {
                    done[nth] = Some(Err(error.clone()));
                }
                break;
            }
        };
        drop(asks);
        let mut chosen = chosen.into_iter();
        open.retain_mut(|(nth, text)| {
            text.read = text.tokens.len();
            let taken = match chosen.next() {
                Some(token) => text.take(token),
                None => Err(WriterError::Failed("a question was left unanswered".to_owned())),
            };
            done[*nth] =
                taken.map(|ended| ended.then(|| std::mem::take(&mut text.tokens))).transpose();
            done[*nth].is_none()
        });
    }
    // Every text has left `open` with its result.
    let lost = || Err(WriterError::Failed("the text was lost".to_owned()));
    done.into_iter().map(|done| done.unwrap_or_else(lost)).collect()
}
