//! Choosing a token by chance, weighted by the model, among those allowed.
//!
//! Each token's luck depends on the seed, the attempt and where in which clause it stands, not on
//! what was drawn before. So the same request gets the same words, and where one fact changes, the
//! clauses that say the others keep theirs as far as the model thinks the same of them (the Gumbel
//! coupling: Maddison, Tarlow and Minka 2014). Knows nothing of why a token is allowed.

use super::vocabulary::Token;

/// Below 1 the likelier tokens are preferred more than the model does by itself.
const FIRST_TEMPERATURE: f32 = 0.7;
/// Each further attempt is bolder, for the earlier ones were refused.
const STEP: f32 = 0.2;
const HIGHEST: f32 = 1.5;

/// Where a token would stand: the kind of its clause, and the tokens of the clause before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub kind: usize,
    pub depth: usize,
}

#[derive(Clone, Copy, Debug)]
pub struct Sampler {
    seed: u64,
    temperature: f32,
}

impl Sampler {
    pub fn new(seed: u64, attempt: u32) -> Self {
        let temperature = (FIRST_TEMPERATURE + STEP * attempt as f32).min(HIGHEST);
        Self { seed: mix(seed ^ mix(u64::from(attempt))), temperature }
    }

    /// `None` when nothing is allowed, or a logit of an allowed token is missing or no number.
    pub fn choose(
        &self,
        logits: &[f32],
        allowed: &[Token],
        place: impl Fn(Token) -> Place,
    ) -> Option<Token> {
        let mut best: Option<(Token, f32)> = None;
        for &token in allowed {
            let logit = logits.get(usize::from(token)).copied().filter(|l| l.is_finite())?;
            let score = logit / self.temperature + self.luck(token, place(token));
            if best.is_none_or(|(_, highest)| score > highest) {
                best = Some((token, score));
            }
        }
        best.map(|(token, _)| token)
    }

    /// A draw from the Gumbel distribution: the largest of sums with it falls by softmax.
    fn luck(&self, token: Token, place: Place) -> f32 {
        let place = (place.kind as u64) << 48 | (place.depth as u64) << 16 | u64::from(token);
        // The upper 24 bits, a number between 0 and 1 without its ends.
        let bits = (mix(self.seed ^ mix(place)) >> 40) as f32;
        let uniform = (bits + 0.5) / (1_u32 << 24) as f32;
        -(-uniform.ln()).ln()
    }
}

/// The output function of `SplitMix64` (Steele, Lea and Flood 2014).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(depth: usize) -> impl Fn(Token) -> Place {
        move |_| Place { kind: 0, depth }
    }

    #[test]
    fn chooses_only_what_is_allowed_and_follows_the_seed() {
        let logits = [9.0, 0.0, 1.0, 0.5];
        let draw = |seed, attempt| -> Vec<Token> {
            let sampler = Sampler::new(seed, attempt);
            (0..200).map(|n| sampler.choose(&logits, &[1, 2, 3], at(n)).unwrap()).collect()
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
        let all = draw(3, 0);
        assert!(!all.contains(&0));
        assert!([1, 2, 3].iter().all(|token| all.contains(token)));
    }

    #[test]
    fn tokens_are_chosen_by_their_softmax() {
        let logits = [0.0, 0.7 * 3.0_f32.ln()];
        let chosen = (0..20_000)
            .filter(|seed| Sampler::new(*seed, 0).choose(&logits, &[0, 1], at(2)) == Some(1))
            .count();
        assert!((14_700..15_300).contains(&chosen), "three quarters expected: {chosen}");
    }

    #[test]
    fn later_attempts_are_bolder() {
        let share = |attempt| {
            let bold = |seed: &u64| {
                Sampler::new(*seed, attempt).choose(&[2.0, 0.0], &[0, 1], at(0)) == Some(1)
            };
            (0..2000).filter(bold).count()
        };
        assert!(share(3) > share(0), "{} {}", share(3), share(0));
    }

    #[test]
    fn a_choice_does_not_hang_on_what_else_is_allowed() {
        let logits = [0.0, 0.3, 0.1, 0.2];
        let mut kept = 0;
        for seed in 0..500 {
            let sampler = Sampler::new(seed, 0);
            let among = |allowed: &[Token]| sampler.choose(&logits, allowed, at(1)).unwrap();
            let of_all = among(&[0, 1, 2, 3]);
            if of_all != 3 {
                assert_eq!(among(&[0, 1, 2]), of_all);
                kept += 1;
            }
        }
        assert!(kept > 300);
    }

    #[test]
    fn numbers_that_are_none_give_no_token() {
        let sampler = Sampler::new(0, 0);
        assert_eq!(sampler.choose(&[f32::NAN, 1.0], &[0, 1], at(0)), None);
        assert_eq!(sampler.choose(&[1.0], &[3], at(0)), None);
        assert_eq!(sampler.choose(&[1.0], &[], at(0)), None);
    }
}
