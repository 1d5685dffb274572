//! One GGUF file, version 3, as llama.cpp loads it: architecture `llama`, floats of four bytes.
//!
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Words of the vocabulary begin with
//! the space that parts them, so that llama.cpp finds them in a request as it is written, and writes
//! texts with spaces.

use super::super::checkpoint::{Checkpoint, little_endian};
use super::super::corpus::{MARKS, Piece};
use super::super::llama;
use super::super::transformer::{NORM_EPSILON, ROTARY_BASE};
use super::super::vocabulary::{BEGIN, END, PAD, Token, Vocabulary};
use super::super::weights::Architecture;

const MAGIC: &[u8; 4] = b"GGUF";
const VERSION: u32 = 3;
/// Tensors begin at multiples of this, the default that a file need not state.
const ALIGNMENT: usize = 32;

/// The kinds of values, and of tokens, by the format's numbers.
const UINT32: u32 = 4;
const INT32: u32 = 5;
const FLOAT32: u32 = 6;
const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const TENSOR_F32: u32 = 0;
const CONTROL: i32 = 3;
/// Found in a text as it stands, ahead of any other splitting.
const USER_DEFINED: i32 = 4;

/// Hugging Face's names and llama.cpp's.
const NAMES: [(&str, &str); 12] = [
    ("model.embed_tokens.", "token_embd."),
    ("model.layers.", "blk."),
    (".input_layernorm.", ".attn_norm."),
    (".self_attn.q_proj.", ".attn_q."),
    (".self_attn.k_proj.", ".attn_k."),
    (".self_attn.v_proj.", ".attn_v."),
    (".self_attn.o_proj.", ".attn_output."),
    (".post_attention_layernorm.", ".ffn_norm."),
    (".mlp.gate_proj.", ".ffn_gate."),
    (".mlp.up_proj.", ".ffn_up."),
    (".mlp.down_proj.", ".ffn_down."),
    ("model.norm.", "output_norm."),
];

/// The pairs of names and values at the head of a file.
#[derive(Default)]
struct Pairs {
    count: u64,
    bytes: Vec<u8>,
}

/// The model as a file.
pub(super) fn file(checkpoint: &Checkpoint) -> Result<Vec<u8>, String> {
    let Checkpoint { card, vocabulary, weights, .. } = checkpoint;
    let a = weights.architecture;
    let mut pairs = Pairs::default();
    pairs.text("general.architecture", "llama");
    pairs.text("general.name", &card.signature());
    pairs.text("general.license", &card.licence.to_lowercase());
    pairs.int("general.file_type", 0);
    pairs.architecture(a);
    pairs.vocabulary(vocabulary);

    let tensors = llama::tensors(a);
    let (mut infos, mut data) = (Vec::new(), Vec::new());
    for tensor in &tensors {
        let mut values = tensor.of(weights).map_err(|e| e.to_string())?;
        if tensor.name.contains("q_proj") || tensor.name.contains("k_proj") {
            values = interleaved(&values, a);
        }
        let name =
            NAMES.iter().fold(tensor.name.clone(), |name, (from, to)| name.replace(from, to));
        text(&mut infos, &name);
        infos.extend((tensor.shape.len() as u32).to_le_bytes());
        // The fastest-running dimension comes first.
        for dim in tensor.shape.iter().rev() {
            infos.extend((*dim as u64).to_le_bytes());
        }
        infos.extend(TENSOR_F32.to_le_bytes());
        infos.extend((data.len() as u64).to_le_bytes());
        data.extend(little_endian(&values));
        pad(&mut data);
    }
    let mut file = MAGIC.to_vec();
    file.extend(VERSION.to_le_bytes());
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend(pairs.count.to_le_bytes());
    file.extend(pairs.bytes);
    file.extend(infos);
    pad(&mut file);
    file.extend(data);
    Ok(file)
}

/// The rows of queries or keys in the order that llama.cpp rotates: it turns neighbours where we
/// turn the halves of a head, so row `half · head/2 + at` becomes row `2 · at + half`.
fn interleaved(values: &[f32], architecture: Architecture) -> Vec<f32> {
    let (head, width) = (architecture.head_width(), architecture.width);
    let mut rows = Vec::with_capacity(values.len());
    for head_rows in values.chunks_exact(head * width) {
        let (first, second) = head_rows.split_at(head / 2 * width);
        for (one, other) in first.chunks_exact(width).zip(second.chunks_exact(width)) {
            rows.extend_from_slice(one);
            rows.extend_from_slice(other);
        }
    }
    rows
}

fn text(bytes: &mut Vec<u8>, value: &str) {
    bytes.extend((value.len() as u64).to_le_bytes());
    bytes.extend(value.as_bytes());
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
}

impl Pairs {
    fn key(&mut self, key: &str, kind: u32) {
        self.count += 1;
        text(&mut self.bytes, key);
        self.bytes.extend(kind.to_le_bytes());
    }

    fn text(&mut self, key: &str, value: &str) {
        self.key(key, STRING);
        text(&mut self.bytes, value);
    }

    fn int(&mut self, key: &str, value: usize) {
        self.key(key, UINT32);
        self.bytes.extend((value as u32).to_le_bytes());
    }

    fn float(&mut self, key: &str, value: f32) {
        self.key(key, FLOAT32);
        self.bytes.extend(value.to_le_bytes());
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.key(key, BOOL);
        self.bytes.push(u8::from(value));
    }

    fn list<T>(
        &mut self,
        key: &str,
        kind: u32,
        items: &[T],
        mut put: impl FnMut(&mut Vec<u8>, &T),
    ) {
        self.key(key, ARRAY);
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend((items.len() as u64).to_le_bytes());
        for item in items {
            put(&mut self.bytes, item);
        }
    }

    fn architecture(&mut self, a: Architecture) {
        self.int("llama.context_length", a.context);
        self.int("llama.embedding_length", a.width);
        self.int("llama.block_count", a.layers);
        self.int("llama.feed_forward_length", a.hidden);
        self.int("llama.attention.head_count", a.heads);
        self.int("llama.attention.head_count_kv", a.heads);
        self.int("llama.attention.key_length", a.head_width());
        self.int("llama.attention.value_length", a.head_width());
        self.int("llama.rope.dimension_count", a.head_width());
        self.int("llama.vocab_size", a.vocabulary);
        self.float("llama.rope.freq_base", ROTARY_BASE);
        self.float("llama.attention.layer_norm_rms_epsilon", NORM_EPSILON);
    }

    fn vocabulary(&mut self, vocabulary: &Vocabulary) {
        let control = |id: usize| id <= usize::from(END);
        let mark = |id: usize| {
            let marks = MARKS.map(Piece::Mark).map(|piece| vocabulary.token(&piece));
            marks.contains(&Some(id as Token))
        };
        let tokens: Vec<String> = vocabulary
            .tokens()
            .iter()
            .enumerate()
            .map(|(id, token)| {
                let space = if control(id) || mark(id) { "" } else { " " };
                format!("{space}{token}")
            })
            .collect();
        let kinds: Vec<i32> =
            (0..tokens.len()).map(|id| if control(id) { CONTROL } else { USER_DEFINED }).collect();
        self.text("tokenizer.ggml.model", "llama");
        self.text("tokenizer.ggml.pre", "default");
        self.list("tokenizer.ggml.tokens", STRING, &tokens, |bytes, token| text(bytes, token));
        let scores = vec![0.0_f32; tokens.len()];
        self.list("tokenizer.ggml.scores", FLOAT32, &scores, |bytes, score| {
            bytes.extend(score.to_le_bytes());
        });
        self.list("tokenizer.ggml.token_type", INT32, &kinds, |bytes, kind| {
            bytes.extend(kind.to_le_bytes());
        });
        self.int("tokenizer.ggml.bos_token_id", usize::from(BEGIN));
        self.int("tokenizer.ggml.eos_token_id", usize::from(END));
        self.int("tokenizer.ggml.unknown_token_id", usize::from(PAD));
        self.int("tokenizer.ggml.padding_token_id", usize::from(PAD));
        // A request holds its own begin.
        self.flag("tokenizer.ggml.add_bos_token", false);
        self.flag("tokenizer.ggml.add_eos_token", false);
        self.flag("tokenizer.ggml.add_space_prefix", false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;

    /// Reads a file from the front.
    struct Reader<'r>(&'r [u8]);

    impl<'r> Reader<'r> {
        fn take(&mut self, count: usize) -> &'r [u8] {
            let (own, rest) = self.0.split_at(count);
            self.0 = rest;
            own
        }

        fn u32(&mut self) -> u32 {
            u32::from_le_bytes(self.take(4).try_into().unwrap())
        }

        fn u64(&mut self) -> usize {
            u64::from_le_bytes(self.take(8).try_into().unwrap()) as usize
        }

        fn text(&mut self) -> String {
            let count = self.u64();
            String::from_utf8(self.take(count).to_vec()).unwrap()
        }

        fn value(&mut self, kind: u32) -> String {
            match kind {
                UINT32 | INT32 => self.u32().to_string(),
                FLOAT32 => f32::from_bits(self.u32()).to_string(),
                BOOL => self.take(1)[0].to_string(),
                STRING => self.text(),
                ARRAY => {
                    let kind = self.u32();
                    let count = self.u64();
                    let items: Vec<String> = (0..count).map(|_| self.value(kind)).collect();
                    items.join("|")
                }
                other => panic!("kind {other}"),
            }
        }
    }

    #[test]
    fn the_head_says_where_each_tensor_is() {
        let checkpoint = fixture::checkpoint();
        let a = checkpoint.weights.architecture;
        let bytes = file(&checkpoint).unwrap();
        let mut reader = Reader(&bytes);
        assert_eq!(reader.take(4), MAGIC);
        assert_eq!(reader.u32(), 3);
        let (tensors, pairs) = (reader.u64(), reader.u64());
        assert_eq!(tensors, 2 + 9 * a.layers);
        let mut values = std::collections::BTreeMap::new();
        for _ in 0..pairs {
            let (key, kind) = (reader.text(), reader.u32());
            assert!(values.insert(key, reader.value(kind)).is_none());
        }
        assert_eq!(values["general.architecture"], "llama");
        assert_eq!(values["llama.attention.head_count"], "2");
        assert_eq!(values["tokenizer.ggml.eos_token_id"], "4");
        let tokens: Vec<&str> = values["tokenizer.ggml.tokens"].split('|').collect();
        assert_eq!(tokens.len(), a.vocabulary);
        assert_eq!(&tokens[4..8], ["<end>", " /", ".", ","]);
        let mut expected = 0;
        let infos: Vec<(String, Vec<usize>, usize)> = (0..tensors)
            .map(|_| {
                let name = reader.text();
                let dims = reader.u32();
                let shape: Vec<usize> = (0..dims).map(|_| reader.u64()).collect();
                assert_eq!(reader.u32(), TENSOR_F32);
                let offset = reader.u64();
                assert_eq!(offset, expected, "{name}");
                expected = (offset + 4 * shape.iter().product::<usize>()).next_multiple_of(32);
                (name, shape, offset)
            })
            .collect();
        let start = (bytes.len() - reader.0.len()).next_multiple_of(32);
        assert_eq!(bytes.len(), start + expected);
        let (_, shape, offset) = infos.iter().find(|info| info.0 == "blk.1.attn_k.weight").unwrap();
        assert_eq!(*shape, [a.width, a.attention_width()]);
        // Row 3 is the second of the pair at 1: half 1, so row 8 + 1 of the first head of 16.
        let at = start + offset + 4 * (3 * a.width + 5);
        let ours = &checkpoint.weights.values["layers.1.query_key_value"];
        assert_eq!(bytes[at..at + 4], ours[5 * 96 + 32 + 9].to_le_bytes());
        assert!(infos.iter().any(|info| info.0 == "token_embd.weight"));
        assert!(infos.iter().any(|info| info.0 == "output_norm.weight"));
    }

    #[test]
    fn weights_that_lack_a_tensor_are_an_error() {
        let mut checkpoint = fixture::checkpoint();
        checkpoint.weights.values.remove("layers.1.down");
        assert!(file(&checkpoint).is_err());
    }
}
