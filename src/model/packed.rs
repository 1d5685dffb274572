//! A matrix laid out for the CPU's vectors, and its product with a few rows.
//!
//! Sums run along the inputs and nothing is fused, so a row's product is the same to the last bit
//! alone, among others, and whatever the vectors are.

#![expect(
    clippy::inline_always,
    reason = "only what is inlined into a pass is compiled for the processor that runs it"
)]

/// Outputs that are computed together: what fits the vector registers of one row.
const BLOCK: usize = 64;
/// Rows, and outputs of each, that are computed together where there are several rows.
const ROWS: usize = 4;
const COLUMNS: usize = 16;

/// A matrix in blocks of columns, each block's rows side by side.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    inputs: usize,
    outputs: usize,
    /// `[blocks, inputs, BLOCK]`, the last block filled up with zeros.
    values: Vec<f32>,
}

impl Packed {
    /// Of a row-major matrix `[inputs, outputs]`.
    pub(super) fn new(matrix: &[f32], inputs: usize, outputs: usize) -> Self {
        Self::of(inputs, outputs, |input, output| matrix[input * outputs + output])
    }

    pub(super) fn of(inputs: usize, outputs: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let blocks = outputs.div_ceil(BLOCK);
        let mut values = Vec::with_capacity(blocks * inputs * BLOCK);
        for block in 0..blocks {
            for input in 0..inputs {
                values.extend(
                    (block * BLOCK..(block + 1) * BLOCK)
                        .map(|output| if output < outputs { value(input, output) } else { 0.0 }),
                );
            }
        }
        Self { inputs, outputs, values }
    }

    /// `x · matrix` for rows `[rows, inputs]`, into `[rows, outputs]`.
    #[inline(always)]
    pub(super) fn times(&self, x: &[f32], y: &mut Vec<f32>) {
        let rows = x.len() / self.inputs;
        y.clear();
        y.resize(rows * self.outputs, 0.0);
        for (nth, block) in self.values.chunks_exact(self.inputs * BLOCK).enumerate() {
            let first = nth * BLOCK;
            let mut row = 0;
            while row + ROWS <= rows {
                for column in (0..BLOCK).step_by(COLUMNS) {
                    let sums = self.sums::<ROWS, COLUMNS>(x, row, block, column);
                    for (at, sums) in sums.iter().enumerate() {
                        self.put(y, row + at, first + column, sums);
                    }
                }
                row += ROWS;
            }
            while row < rows {
                let [sums] = self.sums::<1, BLOCK>(x, row, block, 0);
                self.put(y, row, first, &sums);
                row += 1;
            }
        }
    }

    #[inline(always)]
    fn sums<const R: usize, const C: usize>(
        &self,
        x: &[f32],
        row: usize,
        block: &[f32],
        column: usize,
    ) -> [[f32; C]; R] {
        let mut sums = [[0.0_f32; C]; R];
        let rows: [&[f32]; R] =
            std::array::from_fn(|at| &x[(row + at) * self.inputs..(row + at + 1) * self.inputs]);
        for (input, weights) in block.chunks_exact(BLOCK).enumerate() {
            let Some(weights) = weights[column..].first_chunk::<C>() else { break };
            for at in 0..R {
                let factor = rows[at][input];
                for lane in 0..C {
                    sums[at][lane] += factor * weights[lane];
                }
            }
        }
        sums
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
