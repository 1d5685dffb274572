//! How well a model foresees the teacher's choices, among what is allowed.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::super::adapter::{Condition, Loaded};
use super::super::backend::Engine;
use super::super::checkpoint::Checkpoint;
use super::super::constraint::Constraint;
use super::super::teacher;
use super::super::transformer::TensorError;
use super::super::vocabulary::{END, Token};
use crate::domain::wording::WordingRequest;

/// Perplexity of the teacher's choices, where there is a choice, among what is allowed: by the
/// model, and by equal chances.
pub(super) fn perplexity(
    checkpoint: &Checkpoint,
    adapters: &[Loaded],
    requests: &[WordingRequest],
    seed: u64,
) -> Result<(f64, f64), TensorError> {
    let own = adapters.iter().map(|own| &own.adapter);
    let engine = Engine::cpu(&checkpoint.weights)?.adapted(own)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut ours, mut chance, mut choices) = (0.0, 0.0, 0_u64);
    let mut allowed = Vec::new();
    for request in requests {
        let (Ok(text), Ok(mut constraint)) = (
            teacher::compose(&checkpoint.grammar, request, &mut rng),
            Constraint::new(&checkpoint.grammar, request),
        ) else {
            continue;
        };
        let mut tokens = checkpoint.vocabulary.request(request);
        let begin = tokens.len();
        tokens.extend(text);
        let condition = Condition::of(request);
        let adapter = adapters.iter().position(|own| own.card.condition == condition);
        let logits = engine.logits_with(adapter, &tokens)?;
        tokens.push(END);
        for (at, token) in tokens.iter().enumerate().skip(begin) {
            constraint.allowed(&mut allowed);
            if allowed.len() > 1 {
                let size = checkpoint.vocabulary.len();
                ours -= likelihood(&logits[(at - 1) * size..at * size], &allowed, *token).ln();
                chance += (allowed.len() as f64).ln();
                choices += 1;
            }
            constraint.push(*token);
        }
    }
    let choices = choices.max(1) as f64;
    Ok(((ours / choices).exp(), (chance / choices).exp()))
}

/// The probability of a token among the allowed ones.
fn likelihood(logits: &[f32], allowed: &[Token], token: Token) -> f64 {
    let of = |token: Token| f64::from(logits.get(usize::from(token)).copied().unwrap_or(f32::MIN));
    let highest = allowed.iter().map(|t| of(*t)).fold(f64::MIN, f64::max);
    let all: f64 = allowed.iter().map(|t| (of(*t) - highest).exp()).sum();
    (of(token) - highest).exp() / all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likelihoods_are_among_the_allowed() {
        let p = likelihood(&[0.0, 100.0, 0.0], &[0, 2], 2);
        assert!((p - 0.5).abs() < 1e-9);
    }
}
