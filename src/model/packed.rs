//! A matrix laid out for the CPU's vectors, and its product with a few rows.
//!
//! Sums run along the inputs and nothing is fused, so a row's product is the same to the last bit
//! alone, among others, and whatever the vectors are. What was stored at a byte a number stays so in
//! memory: a quarter of the room, and less to fetch for each token.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a pass is compiled for the processor that runs it"
)]

use super::quantize::MOST;

/// Outputs that are laid out together. Of one row all of them are computed at a time, of more a
/// quarter: what fits the vector registers.
const BLOCK: usize = 64;

/// How far from a whole number a quotient of numbers that were rounded once may lie.
const ROUNDED: f32 = 1e-4;

/// A matrix in blocks of columns, each block's rows side by side.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    inputs: usize,
    outputs: usize,
    values: Values,
}

/// `[blocks, inputs, BLOCK]`, the last block filled up with zeros.
#[derive(Clone, Debug)]
enum Values {
    Floats(Vec<f32>),
    /// Whole numbers, and for each output what one of them is worth.
    Bytes(Vec<i8>, Vec<f32>),
}

impl Packed {
    /// Of a row-major matrix `[inputs, outputs]`.
    pub(super) fn new(matrix: &[f32], inputs: usize, outputs: usize) -> Self {
        Self::of(inputs, outputs, |input, output| matrix[input * outputs + output])
    }

    pub(super) fn of(inputs: usize, outputs: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let scales: Vec<f32> = (0..outputs)
            .map(|output| (0..inputs).map(|i| value(i, output).abs()).fold(0.0, f32::max) / MOST)
            .collect();
        let whole = |input: usize, output: usize| {
            let scale = scales[output];
            let whole = if scale > 0.0 { value(input, output) / scale } else { 0.0 };
            let near = whole.round();
            ((whole - near).abs() <= ROUNDED).then_some(near as i8)
        };
        let values = if let Some(bytes) = laid_out(inputs, outputs, whole) {
            Values::Bytes(bytes, scales)
        } else {
            let floats = laid_out(inputs, outputs, |input, output| Some(value(input, output)));
            Values::Floats(floats.unwrap_or_default())
        };
        Self { inputs, outputs, values }
    }

    /// `x · matrix` for rows `[rows, inputs]`, into `[rows, outputs]`.
    #[inline(always)]
    pub(super) fn times(&self, x: &[f32], y: &mut Vec<f32>) {
        let rows = x.len() / self.inputs;
        y.clear();
        y.resize(rows * self.outputs, 0.0);
        match &self.values {
            Values::Floats(values) => self.products(values, x, y),
            Values::Bytes(values, scales) => {
                self.products(values, x, y);
                for row in y.chunks_exact_mut(self.outputs) {
                    row.iter_mut().zip(scales).for_each(|(sum, scale)| *sum *= scale);
                }
            }
        }
    }

    #[inline(always)]
    fn products<N: Copy + Into<f32>>(&self, values: &[N], x: &[f32], y: &mut [f32]) {
        let rows = x.len() / self.inputs;
        let (fours, pair) = (rows / 4 * 4, rows % 4 / 2 * 2);
        let (x4, rest) = x.split_at(fours * self.inputs);
        let (x2, x1) = rest.split_at(pair * self.inputs);
        self.groups::<N, 4, 16>(values, x4, 0, y);
        self.groups::<N, 2, 16>(values, x2, fours, y);
        self.groups::<N, 1, BLOCK>(values, x1, fours + pair, y);
    }

    /// `R` rows at a time, from row `first` of the result on.
    #[inline(always)]
    fn groups<N: Copy + Into<f32>, const R: usize, const C: usize>(
        &self,
        values: &[N],
        x: &[f32],
        first: usize,
        y: &mut [f32],
    ) {
        // Input by input, the rows side by side.
        let mut group = vec![0.0; if x.is_empty() { 0 } else { R * self.inputs }];
        for (nth, rows) in x.chunks_exact(R * self.inputs).enumerate() {
            for (at, row) in rows.chunks_exact(self.inputs).enumerate() {
                let places = group.iter_mut().skip(at).step_by(R);
                places.zip(row).for_each(|(place, value)| *place = *value);
            }
            for (block, weights) in values.chunks_exact(self.inputs * BLOCK).enumerate() {
                for column in (0..BLOCK).step_by(C) {
                    let sums = sums::<N, R, C>(&group, weights, column);
                    for (at, sums) in sums.iter().enumerate() {
                        self.put(y, first + R * nth + at, block * BLOCK + column, sums);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn put(&self, y: &mut [f32], row: usize, first: usize, sums: &[f32]) {
        // The last block reaches beyond the outputs.
        let row = &mut y[row * self.outputs..(row + 1) * self.outputs];
        for (output, sum) in row.iter_mut().skip(first).zip(sums) {
            *output = *sum;
        }
    }
}

/// The products of `R` rows, input by input side by side, with `C` columns of a block. Nothing in here
/// can panic, so the sums stay in registers.
#[inline(always)]
fn sums<N: Copy + Into<f32>, const R: usize, const C: usize>(
    x: &[f32],
    block: &[N],
    column: usize,
) -> [[f32; C]; R] {
    let mut sums = [[0.0_f32; C]; R];
    for (x, weights) in x.chunks_exact(R).zip(block.chunks_exact(BLOCK)) {
        let weights = weights.get(column..).and_then(<[N]>::first_chunk::<C>);
        let (Some(x), Some(weights)) = (x.first_chunk::<R>(), weights) else { break };
        let weights = weights.map(Into::<f32>::into);
        for at in 0..R {
            for lane in 0..C {
                sums[at][lane] += x[at] * weights[lane];
            }
        }
    }
    sums
}

/// Block by block; `None` where a value has no such form.
fn laid_out<N: Default>(
    inputs: usize,
    outputs: usize,
    value: impl Fn(usize, usize) -> Option<N>,
) -> Option<Vec<N>> {
    let blocks = outputs.div_ceil(BLOCK);
    let mut values = Vec::with_capacity(blocks * inputs * BLOCK);
    for block in 0..blocks {
        for input in 0..inputs {
            for output in block * BLOCK..(block + 1) * BLOCK {
                values.push(if output < outputs { value(input, output)? } else { N::default() });
            }
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUTS: usize = 32;
    const OUTPUTS: usize = 70;

    fn plainly(matrix: &[f32], x: &[f32]) -> Vec<f32> {
        let sum = |row: &[f32], output: usize| -> f32 {
            row.iter().enumerate().map(|(i, x)| x * matrix[i * OUTPUTS + output]).sum()
        };
        x.chunks_exact(INPUTS).flat_map(|row| (0..OUTPUTS).map(move |o| sum(row, o))).collect()
    }

    #[test]
    fn whole_numbers_of_a_scale_are_kept_as_bytes_and_others_as_they_are() {
        let whole = |at: usize| ((at * 7919) % 255) as f32 - 127.0;
        let scale = |at: usize| 0.001 + 0.37 * (at % OUTPUTS) as f32 / 700.0;
        // Every column has its largest, so that its scale can be seen; one is empty.
        let value = |at: usize| match (at / OUTPUTS, at % OUTPUTS) {
            (_, 5) => 0.0,
            (0, _) => MOST * scale(at),
            _ => whole(at) * scale(at),
        };
        let bytes: Vec<f32> = (0..INPUTS * OUTPUTS).map(value).collect();
        let mut floats = bytes.clone();
        floats[77] *= 1.001;
        let x: Vec<f32> = (0..7 * INPUTS).map(|at| ((at * 31) % 17) as f32 / 9.0 - 0.8).collect();
        for (matrix, in_bytes) in [(bytes, true), (floats, false)] {
            let packed = Packed::new(&matrix, INPUTS, OUTPUTS);
            assert_eq!(matches!(packed.values, Values::Bytes(..)), in_bytes);
            let mut y = Vec::new();
            packed.times(&x, &mut y);
            for (y, right) in y.iter().zip(plainly(&matrix, &x)) {
                assert!((y - right).abs() < 1e-4 * (1.0 + right.abs()), "{y} {right}");
            }
        }
    }
}
