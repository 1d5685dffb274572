//! A model on a device, and the choice of the device: a GPU through wgpu where there is one that
//! computes what the CPU computes, else the CPU.
//!
//! Knows nothing of texts.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::Device;

use crate::plan::Backend;

use super::adapter::Adapter;
use super::cache::Cache;
use super::plain::{Memory, Plain};
use super::transformer::{Addition, Tables, TensorError, Transformer, numbers, sequence};
use super::vocabulary::Token;
use super::weights::{Architecture, Weights};

/// Largest difference between two backends' logits that still counts as the same.
pub const TOLERANCE: f32 = 1e-3;

/// A model on a device, with memory for the texts that are being written.
#[derive(Debug)]
pub struct Engine {
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// By hand, on the CPU.
    Plain { model: Box<Plain>, memories: Vec<Memory> },
    /// Through burn, on any device.
    Burn(Box<Burn>),
}

/// A model on a device, through burn.
#[derive(Debug)]
pub struct Burn {
    model: Transformer,
    tables: Tables,
    additions: Vec<Addition>,
    /// Of each text, and which adapter it is written with.
    caches: Vec<(Cache, Option<usize>)>,
}

impl Engine {
    /// Through burn on a device.
    pub fn new(weights: &Weights, device: &Device) -> Result<Self, TensorError> {
        let model = Transformer::new(weights, device)?;
        let tables = Tables::new(weights.architecture, device);
        let burn = Burn { model, tables, additions: Vec::new(), caches: Vec::new() };
        Ok(Self { body: Body::Burn(Box::new(burn)) })
    }

    /// Through burn on the CPU: the measure of all others.
    pub fn burn(weights: &Weights) -> Result<Self, TensorError> {
        Self::new(weights, &Device::flex())
    }

    /// On the CPU, as fast as this build can; one thread but for many texts.
    pub fn cpu(weights: &Weights) -> Result<Self, TensorError> {
        // Without optimisation the forward by hand is a hundred times slower; dependencies are
        // optimised in every build.
        if cfg!(debug_assertions) { Self::burn(weights) } else { Self::plain(weights) }
    }

    /// By hand on the CPU.
    pub fn plain(weights: &Weights) -> Result<Self, TensorError> {
        Ok(Self {
            body: Body::Plain { model: Box::new(Plain::new(weights)?), memories: Vec::new() },
        })
    }

    /// With these adapters, numbered from 0 on.
    pub fn adapted<'a>(
        mut self,
        adapters: impl IntoIterator<Item = &'a Adapter>,
    ) -> Result<Self, TensorError> {
        for adapter in adapters {
            match &mut self.body {
                Body::Plain { model, .. } => model.adapt(adapter)?,
                Body::Burn(burn) => {
                    burn.additions.push(Addition::new(adapter, burn.tables.device())?);
                }
            }
        }
        Ok(self)
    }

    /// Begins new texts, numbered from 0 on, each with an adapter or with the model alone.
    pub fn begin(&mut self, texts: &[Option<usize>]) {
        let architecture = self.architecture();
        let chosen = texts.iter().copied().chain(std::iter::repeat(None));
        match &mut self.body {
            Body::Plain { memories, .. } => {
                let most = memories.len().max(texts.len());
                memories.resize_with(most, || Memory::new(architecture));
                memories.iter_mut().zip(chosen).for_each(|(memory, own)| memory.begin(own));
            }
            Body::Burn(burn) => {
                let Burn { tables, caches, .. } = &mut **burn;
                let most = caches.len().max(texts.len());
                caches.resize_with(most, || (Cache::new(architecture, tables.device()), None));
                for ((cache, adapter), own) in caches.iter_mut().zip(chosen) {
                    cache.clear();
                    *adapter = own;
                }
            }
        }
    }

    /// Takes in the next tokens of some of the texts, each named once, in ascending order; the
    /// logits after the last token of each.
    pub fn feed(&mut self, parts: &[(usize, &[Token])]) -> Result<Vec<Vec<f32>>, TensorError> {
        match &mut self.body {
            Body::Plain { model, memories } => Share::Plain(model, memories),
            Body::Burn(burn) => Share::Burn(burn),
        }
        .feed(parts)
    }

    /// The first `texts` that were begun, in equal shares for so many threads: one where a device
    /// takes one thread only.
    pub fn shares(&mut self, texts: usize, threads: usize) -> Vec<Share<'_>> {
        match &mut self.body {
            Body::Plain { model, memories } => {
                let texts = texts.min(memories.len());
                let each = texts.div_ceil(threads.max(1)).max(1);
                let model = &**model;
                memories[..texts].chunks_mut(each).map(|own| Share::Plain(model, own)).collect()
            }
            Body::Burn(burn) => vec![Share::Burn(burn)],
        }
    }

    /// The logits of the model alone after each of these tokens, without what was fed before: the
    /// plain way, for checks.
    pub fn logits(&self, tokens: &[Token]) -> Result<Vec<f32>, TensorError> {
        self.logits_with(None, tokens)
    }

    /// The same with an adapter.
    pub fn logits_with(
        &self,
        adapter: Option<usize>,
        tokens: &[Token],
    ) -> Result<Vec<f32>, TensorError> {
        match &self.body {
            Body::Plain { model, .. } => model.logits(tokens, adapter),
            Body::Burn(burn) => {
                let input = sequence(tokens, burn.tables.device());
                let addition = adapter.and_then(|nth| burn.additions.get(nth));
                numbers(burn.model.forward(input, &burn.tables, None, addition))
            }
        }
    }

    pub fn architecture(&self) -> Architecture {
        match &self.body {
            Body::Plain { model, .. } => model.architecture(),
            Body::Burn(burn) => burn.tables.architecture(),
        }
    }
}

/// Some of an engine's texts, numbered from 0 on, for one thread to feed.
#[derive(Debug)]
pub enum Share<'e> {
    Plain(&'e Plain, &'e mut [Memory]),
    Burn(&'e mut Burn),
}

impl Share<'_> {
    /// As [`Engine::feed`].
    pub fn feed(&mut self, parts: &[(usize, &[Token])]) -> Result<Vec<Vec<f32>>, TensorError> {
        let unknown = || TensorError::Device("a text was never begun, or comes twice".to_owned());
        match self {
            Self::Plain(model, memories) => {
                let mut wanted = parts.iter().peekable();
                let mut texts = Vec::with_capacity(parts.len());
                for (nth, memory) in memories.iter_mut().enumerate() {
                    if let Some((_, tokens)) = wanted.next_if(|(text, _)| *text == nth) {
                        texts.push((memory, *tokens));
                    }
                }
                if wanted.next().is_some() {
                    return Err(unknown());
                }
                model.feed(&mut texts)
            }
            Self::Burn(burn) => {
                let Burn { model, tables, additions, caches } = &mut **burn;
                let feed = |(nth, tokens): &(usize, &[Token])| {
                    let (cache, adapter) = caches.get_mut(*nth).ok_or_else(unknown)?;
                    if tokens.is_empty() || tokens.len() > cache.room() {
                        return Err(TensorError::Device(format!(
                            "{} tokens for a cache with room for {}",
                            tokens.len(),
                            cache.room()
                        )));
                    }
                    let input = sequence(tokens, tables.device());
                    let addition = adapter.and_then(|nth| additions.get(nth));
                    let logits = model.forward(input, tables, Some(cache), addition);
                    numbers(logits.narrow(1, tokens.len() - 1, 1))
                };
                parts.iter().map(feed).collect()
            }
        }
    }
}

/// A device to train on, and whether it is a graphics card.
#[cfg(feature = "train")]
pub fn training(wanted: Backend) -> Result<(Device, bool), String> {
    let gpu = match wanted {
        Backend::Cpu => None,
        Backend::Auto => gpu::open(false)?,
        Backend::Wgpu => gpu::open(true)?,
    };
    Ok(gpu.map_or_else(|| (Device::flex(), false), |(device, _)| (device, true)))
}

/// What the self-test reads: enough tokens for a request and some of a text.
fn prompt(architecture: Architecture) -> Vec<Token> {
    (0..architecture.context.min(28))
        .map(|at| ((at * 37 + 11) % architecture.vocabulary) as Token)
        .collect()
}

/// Logits known to be right, and the adapter that they are with.
type Right = (Option<usize>, Vec<f32>);

/// Compares an engine, with and without its cache, with logits known to be right.
fn agrees(engine: &mut Engine, rights: &[Right]) -> Result<(), String> {
    rights.iter().try_for_each(|(adapter, right)| agrees_with(engine, *adapter, right))
}

fn agrees_with(engine: &mut Engine, adapter: Option<usize>, right: &[f32]) -> Result<(), String> {
    let prompt = prompt(engine.architecture());
    let wrong = |way: &str, logits: &[f32], right: &[f32]| {
        // Written so that a value that is no number counts as a difference.
        let same = |(a, b): (&f32, &f32)| (a - b).abs() <= TOLERANCE;
        if logits.len() == right.len() && logits.iter().zip(right).all(same) {
            return Ok(());
        }
        let apart = logits.iter().zip(right).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        Err(format!("{way} logits differ from the CPU's by up to {apart}"))
    };
    let plain = engine.logits_with(adapter, &prompt).map_err(|e| e.to_string())?;
    wrong("uncached", &plain, right)?;
    engine.begin(&[adapter]);
    let (head, tail) = prompt.split_at(prompt.len() / 2);
    let size = engine.architecture().vocabulary;
    let mut end = head.len() * size;
    for tokens in std::iter::once(head).chain(tail.chunks(1)).filter(|t| !t.is_empty()) {
        let logits = engine.feed(&[(0, tokens)]).map_err(|e| e.to_string())?;
        let logits = logits.first().map_or(&[][..], Vec::as_slice);
        wrong("cached", logits, right.get(end - size..end).unwrap_or_default())?;
        end += size;
    }
    Ok(())
}

/// An engine that passed the self-test.
#[derive(Debug)]
pub struct Chosen {
    pub engine: Engine,
    /// `cpu`, or `wgpu` with the adapter's name.
    pub backend: String,
    /// Why it is not the one that was asked for, or what else an operator should know.
    pub note: Option<String>,
}

/// Puts the weights where they run best. Fails only when the CPU itself fails its self-test.
pub fn choose(weights: &Weights, adapters: &[Adapter], wanted: Backend) -> Result<Chosen, String> {
    let failed = |error: TensorError| error.to_string();
    let with_all = |engine: Result<Engine, TensorError>| engine?.adapted(adapters);
    let mut burn = with_all(Engine::burn(weights)).map_err(failed)?;
    // The model alone and, for all adapters, the first: they differ by their numbers only.
    let right = std::iter::once(None).chain((!adapters.is_empty()).then_some(Some(0)));
    let right = right
        .map(|adapter| Ok((adapter, burn.logits_with(adapter, &prompt(weights.architecture))?)))
        .collect::<Result<Vec<Right>, _>>()
        .map_err(failed)?;
    agrees(&mut burn, &right)?;
    let gpu = match wanted {
        Backend::Cpu => None,
        Backend::Auto => gpu::open(false).transpose(),
        Backend::Wgpu => Some(
            gpu::open(true).and_then(|g| g.ok_or_else(|| "this machine has no adapter".to_owned())),
        ),
    };
    let note = match gpu {
        None => None,
        Some(Ok((device, name))) => {
            // Graphics drivers fail in their own ways; what they say must not take the unit down, nor
            // a panic, unless panics abort (Cargo.toml's `edge`): there `backend: cpu` is the way out.
            let tried = catch_unwind(AssertUnwindSafe(|| {
                let mut engine = with_all(Engine::new(weights, &device)).map_err(failed)?;
                agrees(&mut engine, &right).map(|()| engine)
            }));
            match tried.unwrap_or_else(|_| Err("the self-test was broken off".to_owned())) {
                Ok(engine) => {
                    return Ok(Chosen { engine, backend: format!("wgpu ({name})"), note: None });
                }
                Err(reason) => Some(format!("wgpu ({name}) is not used: {reason}")),
            }
        }
        Some(Err(reason)) => Some(format!("wgpu is not used: {reason}")),
    };
    // What is not right is not used; burn itself is slower, and right by what was seen above.
    let plain = with_all(Engine::cpu(weights))
        .map_err(failed)
        .and_then(|mut plain| agrees(&mut plain, &right).map(|()| plain));
    Ok(match plain {
        Ok(engine) => Chosen { engine, backend: "cpu".to_owned(), note },
        Err(reason) => Chosen {
            engine: burn,
            backend: "cpu (burn)".to_owned(),
            note: Some(format!("the forward by hand is not used: {reason}")),
        },
    })
}

#[cfg(feature = "wgpu")]
mod gpu {
    //! Adapters are asked for, never assumed: without one every call here is an ordinary error,
    //! which matters where a panic ends the process.

    use std::sync::Mutex;

    use burn::tensor::wgpu::WgpuBackend;
    use burn::tensor::{Device, DeviceKind};

    /// Vulkan where units run: looking for OpenGL as well would load drivers that cannot compute.
    const API: WgpuBackend =
        if cfg!(target_os = "linux") { WgpuBackend::Vulkan } else { WgpuBackend::Auto };

    /// Devices that are open, by kind: a process can open each only once.
    static OPEN: Mutex<Vec<(DeviceKind, Device, String)>> = Mutex::new(Vec::new());

    /// The best adapter with its name. A software adapter counts only when it is asked for: it
    /// computes on the CPU, far slower than the CPU backend does.
    pub fn open(software_too: bool) -> Result<Option<(Device, String)>, String> {
        let mut kinds = vec![
            DeviceKind::DiscreteGpu(0),
            DeviceKind::IntegratedGpu(0),
            DeviceKind::VirtualGpu(0),
        ];
        if software_too {
            kinds.push(DeviceKind::DefaultDevice);
        }
        let mut open = OPEN.lock().map_err(|_| "an earlier attempt broke off".to_owned())?;
        let mut reason = None;
        for kind in kinds {
            if let Some((_, device, name)) = open.iter().find(|(known, ..)| *known == kind) {
                return Ok(Some((device.clone(), name.clone())));
            }
            let options = Device::wgpu_options().device_kind(kind.clone()).graphics_api(API);
            match options.init_with_setup() {
                Ok((device, setup)) => {
                    let name = setup.adapter.get_info().name;
                    open.push((kind, device.clone(), name.clone()));
                    return Ok(Some((device, name)));
                }
                Err(error) => reason = Some(error.to_string()),
            }
        }
        if software_too { Err(reason.unwrap_or_default()) } else { Ok(None) }
    }
}

#[cfg(not(feature = "wgpu"))]
mod gpu {
    use burn::tensor::Device;

    pub fn open(asked_for: bool) -> Result<Option<(Device, String)>, String> {
        if asked_for {
            return Err("this build has no wgpu; build with `--features wgpu`".to_owned());
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    #[test]
    fn the_cpu_passes_its_self_test() {
        let weights = fixture::lively(fixture::tiny(200));
        let adapters = [fixture::adapter(weights.architecture, 1)];
        let chosen = choose(&weights, &adapters, Backend::Cpu).unwrap();
        assert_eq!((chosen.backend.as_str(), chosen.note), ("cpu", None));
        let right = |adapter| {
            (adapter, chosen.engine.logits_with(adapter, &prompt(weights.architecture)).unwrap())
        };
        let rights = [right(None), right(Some(0))];
        let mut plain = Engine::plain(&weights).unwrap().adapted(&adapters).unwrap();
        assert_eq!(agrees(&mut plain, &rights), Ok(()));
        // An engine without the adapter computes something else.
        let error = agrees(&mut Engine::plain(&weights).unwrap(), &rights).unwrap_err();
        assert!(error.contains("differ"), "{error}");
    }

    #[test]
    fn other_logits_are_a_mismatch() {
        let weights = fixture::lively(fixture::tiny(200));
        let mut engine = Engine::plain(&weights).unwrap();
        let mut right = engine.logits(&prompt(weights.architecture)).unwrap();
        assert_eq!(agrees_with(&mut engine, None, &right), Ok(()));
        *right.last_mut().unwrap() += 0.01;
        assert!(agrees_with(&mut engine, None, &right).unwrap_err().contains("differ"));
        *right.last_mut().unwrap() = f32::NAN;
        assert!(agrees_with(&mut engine, None, &right).is_err());
    }

    #[test]
    fn what_was_not_begun_or_has_no_room_is_an_error() {
        let weights = fixture::lively(fixture::tiny(200));
        for mut engine in [Engine::plain(&weights).unwrap(), Engine::burn(&weights).unwrap()] {
            assert!(engine.feed(&[(0, &[1])]).is_err());
            engine.begin(&[None; 2]);
            assert!(engine.feed(&[(2, &[1])]).is_err());
            assert!(engine.feed(&[(0, &[1; 161])]).is_err());
            assert!(engine.feed(&[(0, &[])]).is_err());
            assert!(engine.feed(&[(0, &[1; 160]), (1, &[2])]).is_ok());
            assert!(engine.feed(&[(0, &[1])]).is_err());
            assert!(engine.feed(&[(1, &[1])]).is_ok());
        }
    }
}
