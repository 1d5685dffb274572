//! `AdamW` on all parameters as one row.
//!
//! Burn has an optimiser too, but it keeps its state by parameter, goes over every tensor by itself
//! (hundreds of small operations a step, which is what a step takes on a graphics card) and brings a
//! stored state back through a default device, which a machine without a graphics card lacks.

use burn::tensor::{Device, Tensor, TensorData};

use super::super::weights::Named;

/// Decay of the gradient's mean and of its square's (Kingma and Ba 2015; the second as usual for
/// transformers).
const MEAN: f32 = 0.9;
const SQUARE: f32 = 0.98;
const EPSILON: f32 = 1e-8;
/// Gradients longer than this are cut to it.
const LONGEST: f32 = 1.0;

#[derive(Clone, Debug)]
pub(super) struct AdamW {
    pub first: Tensor<1>,
    pub second: Tensor<1>,
    /// The weight decay of each parameter: none of norms (Loshchilov and Hutter 2019).
    decay: Tensor<1>,
}

impl AdamW {
    pub fn new(tensors: &[Named], weight_decay: f32, device: &Device) -> Self {
        let mut decay = Vec::new();
        for (_, shape) in tensors {
            let own = if shape.len() == 1 { 0.0 } else { weight_decay };
            decay.resize(decay.len() + shape.iter().product::<usize>(), own);
        }
        let count = decay.len();
        Self {
            first: Tensor::zeros([count], device),
            second: Tensor::zeros([count], device),
            decay: Tensor::from_data(TensorData::new(decay, [count]), device),
        }
    }

    /// The parameters after step number `step`, from 1 on.
    pub fn step(
        &mut self,
        parameters: Tensor<1>,
        gradient: Tensor<1>,
        rate: f64,
        step: usize,
    ) -> Tensor<1> {
        let length = gradient.clone().square().sum().sqrt();
        let gradient = gradient * (length / LONGEST).clamp_min(1.0).recip();
        self.first = self.first.clone() * MEAN + gradient.clone() * (1.0 - MEAN);
        self.second = self.second.clone() * SQUARE + gradient.square() * (1.0 - SQUARE);
        // Both begin at zero; these make up for it.
        let unbiased = |decay: f32| 1.0 - f64::from(decay).powf(step as f64);
        let root = unbiased(SQUARE).sqrt();
        let own_rate = rate * root / unbiased(MEAN);
        let update = self.first.clone() / (self.second.clone().sqrt() + f64::from(EPSILON) * root);
        parameters.clone() - parameters * self.decay.clone() * rate - update * own_rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;
    use crate::model::transformer::numbers;

    #[test]
    fn the_first_step_goes_against_the_gradient_by_the_rate() {
        let architecture = fixture::tiny(64);
        let device = Device::flex();
        let count = architecture.parameters();
        let gradient: Vec<f32> =
            (0..count).map(|at| if at % 2 == 0 { 3.0 } else { -1e-3 }).collect();
        let mut adam = AdamW::new(&architecture.tensors(), 0.5, &device);
        let ones = Tensor::ones([count], &device);
        let gradient = Tensor::from_data(TensorData::new(gradient, [count]), &device);
        let after = numbers(adam.step(ones, gradient, 0.01, 1)).unwrap();
        // An embedding decays, the last norm does not; of the gradient only the sign counts.
        assert!((after[0] - (1.0 - 0.005 - 0.01)).abs() < 1e-4, "{}", after[0]);
        assert!((after[1] - (1.0 - 0.005 + 0.01)).abs() < 1e-3, "{}", after[1]);
        assert!((after[count - 2] - (1.0 - 0.01)).abs() < 1e-4, "{}", after[count - 2]);
    }
}
