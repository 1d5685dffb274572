//! Arithmetic on rows of numbers that comes out the same to the last bit on every processor.
//!
//! In loops that the compiler can put into vectors: sums in a fixed order, nothing fused. Knows
//! nothing of models.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a pass is compiled for the processor that runs it"
)]

use super::transformer::NORM_EPSILON;

/// Numbers that are summed side by side: those of the widest vectors.
pub(super) const LANES: usize = 16;

#[inline(always)]
pub(super) fn norm(x: &[f32], scale: &[f32], out: &mut Vec<f32>) {
    out.clear();
    for row in x.chunks_exact(scale.len()) {
        // Side by side, in an order that does not hang on the processor.
        let mut squares = [0.0_f32; LANES];
        for part in row.chunks(LANES) {
            squares.iter_mut().zip(part).for_each(|(sum, value)| *sum += value * value);
        }
        let square: f32 = squares.iter().sum();
        let size = (square / scale.len() as f32 + NORM_EPSILON).sqrt();
        out.extend(row.iter().zip(scale).map(|(value, scale)| value / size * scale));
    }
}

/// e to the power of `x`, in arithmetic that vectors have: a power of two, and for what is left,
/// within half a doubling, the Taylor series (error below 1e-7 of the value). The same to the last
/// bit everywhere, as the C library's is not.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// Added to a number below 2^22 it leaves the nearest whole one in the lowest bits.
    const SHIFT: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first with so few digits that its multiples are exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Beyond, a power of two would leave the range of exponents.
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let doublings = shifted - SHIFT;
    let rest = x - doublings * LN_2[0] - doublings * LN_2[1];
    let mut sum = 1.0 / 5040.0;
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        sum = sum * rest + factor;
    }
    let exponent = shifted.to_bits().wrapping_sub(SHIFT.to_bits()).wrapping_add(127);
    sum * f32::from_bits(exponent << 23)
}

#[inline(always)]
pub(super) fn add(x: &mut [f32], more: &[f32]) {
    for (x, more) in x.iter_mut().zip(more) {
        *x += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_e() {
        let mut x = -87.0_f32;
        while x < 88.0 {
            let right = f64::from(x).exp();
            let far = (f64::from(exp(x)) - right).abs() / right;
            assert!(far < 3e-7, "{x}: {far}");
            x += 0.037;
        }
        assert!((exp(0.0) - 1.0).abs() < f32::EPSILON && exp(-1e9) < 1e-37 && exp(1e9).is_finite());
    }
}
