//! Choosing a token by chance, weighted by the model, among those allowed.
//!
//! Knows nothing of why a token is allowed. The same seed, logits and order of calls give the same
//! tokens.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::vocabulary::Token;

/// Below 1 the likelier tokens are preferred more than the model does by itself.
const FIRST_TEMPERATURE: f32 = 0.7;
/// Each further attempt is bolder, for the earlier ones were refused.
const STEP: f32 = 0.2;
const HIGHEST: f32 = 1.5;

#[derive(Clone, Debug)]
pub struct Sampler {
    rng: ChaCha8Rng,
    temperature: f32,
}

impl Sampler {
    pub fn new(seed: u64, attempt: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::from(attempt));
        let temperature = (FIRST_TEMPERATURE + STEP * attempt as f32).min(HIGHEST);
        Self { rng, temperature }
    }

    /// `None` when nothing is allowed, or a logit of an allowed token is missing or no number.
    pub fn choose(&mut self, logits: &[f32], allowed: &[Token]) -> Option<Token> {
        let of = |token: Token| logits.get(usize::from(token)).copied().filter(|l| l.is_finite());
        let mut highest = f32::NEG_INFINITY;
        for &token in allowed {
            highest = highest.max(of(token)?);
        }
        let weights: Vec<f32> = allowed
            .iter()
            .map(|&token| of(token).map_or(0.0, |l| ((l - highest) / self.temperature).exp()))
            .collect();
        // At least one weight is 1, so the sum is positive.
        let mut left = self.rng.random::<f32>() * weights.iter().sum::<f32>();
        for (&token, weight) in allowed.iter().zip(&weights) {
            left -= weight;
            if left < 0.0 {
                return Some(token);
            }
        }
        // Rounding may leave a crumb behind the last one.
        allowed.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_only_what_is_allowed_and_follows_the_seed() {
        let logits = [9.0, 0.0, 1.0, 0.5];
        let draw = |seed, attempt| {
            let mut sampler = Sampler::new(seed, attempt);
            (0..200).map(|_| sampler.choose(&logits, &[1, 2, 3]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
        let all = draw(3, 0);
        assert!(!all.contains(&0));
        assert!([1, 2, 3].iter().all(|token| all.contains(token)));
    }

    #[test]
    fn later_attempts_are_bolder() {
        let share = |attempt| {
            let mut sampler = Sampler::new(4, attempt);
            (0..2000).filter(|_| sampler.choose(&[2.0, 0.0], &[0, 1]) == Some(1)).count()
        };
        assert!(share(3) > share(0), "{} {}", share(3), share(0));
    }

    #[test]
    fn numbers_that_are_none_give_no_token() {
        let mut sampler = Sampler::new(0, 0);
        assert_eq!(sampler.choose(&[f32::NAN, 1.0], &[0, 1]), None);
        assert_eq!(sampler.choose(&[1.0], &[3]), None);
        assert_eq!(sampler.choose(&[1.0], &[]), None);
    }
}
