//! One ONNX file: `input_ids` as int64 `[batch, tokens]` in, `logits` as float
//! `[batch, tokens, vocabulary]` out, at any batch and any number of tokens within the context.
//!
//! The graph is the forward of [`super::super::transformer`], operation by operation, without
//! control flow. Field numbers are those of `onnx.proto`.

use super::super::checkpoint::{Checkpoint, little_endian};
use super::super::transformer::{NORM_EPSILON, causal, rotary};
use super::super::weights::{Architecture, Weights};
use super::protobuf::Message;

/// Version of the file's form, and of the operators: what runtimes have known since 2021.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// An attribute of a node.
enum Attribute<'a> {
    Int(&'a str, i64),
    Ints(&'a str, &'a [i64]),
}

#[derive(Default)]
struct Graph {
    nodes: Vec<Message>,
    initializers: Vec<Message>,
    /// Begins the names of what is added.
    part: String,
}

/// The model as a file.
pub(super) fn file(checkpoint: &Checkpoint) -> Result<Vec<u8>, String> {
    let Checkpoint { card, vocabulary, weights, .. } = checkpoint;
    let a = weights.architecture;
    let mut graph = Graph::default();
    graph.tables(a);
    let embedding = graph.weight(weights, "embedding", &[a.vocabulary, a.width])?;
    let mut x = graph.node("Gather", &[&embedding, "input_ids"], "rows", &[]);
    for layer in 0..a.layers {
        graph.part = format!("layers.{layer}.");
        x = graph.layer(weights, &x)?;
    }
    graph.part.clear();
    let x = graph.norm(weights, &x, "norm", a.width)?;
    let columns =
        graph.node("Transpose", &[&embedding], "out", &[Attribute::Ints("perm", &[1, 0])]);
    graph.named("MatMul", &[&x, &columns], &["logits"], &[]);

    let (batch, tokens) = (Dim::Any("batch"), Dim::Any("tokens"));
    let logits = [batch, tokens, Dim::Fixed(a.vocabulary)];
    let mut body = Message::new();
    for node in &graph.nodes {
        body = body.message(1, node);
    }
    body = body.text(2, &card.signature());
    for initializer in &graph.initializers {
        body = body.message(5, initializer);
    }
    body = body
        .message(11, &value("input_ids", INT64, &[batch, tokens]))
        .message(12, &value("logits", FLOAT, &logits));

    let names = serde_json::to_string(vocabulary.tokens()).map_err(|e| e.to_string())?;
    let mut model = Message::new()
        .int(1, IR_VERSION)
        .text(2, env!("CARGO_PKG_NAME"))
        .text(3, env!("CARGO_PKG_VERSION"))
        .text(6, "Words route directions; only for use under Wayside's constraint and verifier.")
        .message(7, &body)
        .message(8, &Message::new().text(1, "").int(2, OPSET));
    for (key, value) in [
        ("model", card.signature()),
        ("licence", card.licence.clone()),
        ("context", a.context.to_string()),
        ("tokens", names),
    ] {
        model = model.message(14, &Message::new().text(1, key).text(2, &value));
    }
    Ok(model.into_bytes())
}

#[derive(Clone, Copy)]
enum Dim {
    Any(&'static str),
    Fixed(usize),
}

/// What goes in or comes out.
fn value(name: &str, element: i64, shape: &[Dim]) -> Message {
    let dims = shape.iter().fold(Message::new(), |dims, dim| {
        let dim = match dim {
            Dim::Any(name) => Message::new().text(2, name),
            Dim::Fixed(size) => Message::new().size(1, *size),
        };
        dims.message(1, &dim)
    });
    let tensor = Message::new().int(1, element).message(2, &dims);
    Message::new().text(1, name).message(2, &Message::new().message(1, &tensor))
}

impl Graph {
    /// A node with one output, whose name comes back.
    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[Attribute<'_>],
    ) -> String {
        let output = format!("{}{output}", self.part);
        self.named(operator, inputs, &[&output], attributes);
        output
    }

    fn named(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[Attribute<'_>],
    ) {
        let node = inputs.iter().fold(Message::new(), |node, input| node.text(1, input));
        let node = outputs.iter().fold(node, |node, output| node.text(2, output));
        let node = node.text(3, &outputs.concat()).text(4, operator);
        let node = attributes.iter().fold(node, |node, attribute| {
            let attribute = match attribute {
                Attribute::Int(name, value) => {
                    Message::new().text(1, name).int(3, *value).int(20, 2)
                }
                Attribute::Ints(name, values) => values
                    .iter()
                    .fold(Message::new().text(1, name), |a, value| a.int(8, *value))
                    .int(20, 7),
            };
            node.message(5, &attribute)
        });
        self.nodes.push(node);
    }

    fn initializer(&mut self, name: &str, element: i64, shape: &[usize], bytes: &[u8]) {
        let dims = shape.iter().fold(Message::new(), |dims, dim| dims.size(1, *dim));
        self.initializers.push(dims.int(2, element).text(8, name).bytes(9, bytes));
    }

    fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        self.initializer(name, FLOAT, shape, &little_endian(values));
    }

    /// Sizes or positions, as int64.
    fn counts(&mut self, name: &str, values: &[usize]) {
        let bytes = values.iter().flat_map(|value| (*value as u64).to_le_bytes());
        let bytes: Vec<u8> = bytes.collect();
        self.initializer(name, INT64, &[values.len()], &bytes);
    }

    /// A tensor of the model, by its own name.
    fn weight(&mut self, weights: &Weights, name: &str, shape: &[usize]) -> Result<String, String> {
        let name = format!("{}{name}", self.part);
        let values = weights.values.get(&name);
        let whole = values.filter(|values| values.len() == shape.iter().product::<usize>());
        let values = whole.ok_or_else(|| format!("the weights lack the tensor `{name}`"))?;
        self.floats(&name, shape, values);
        Ok(name)
    }

    /// What all layers share: constants, and the rows of the tables for as many tokens as come in.
    fn tables(&mut self, a: Architecture) {
        let head = a.head_width();
        let (cosine, sine) = rotary(a);
        self.floats("cosine_table", &[a.context, 1, head], &cosine);
        self.floats("sine_table", &[a.context, 1, head], &sine);
        self.floats("mask_table", &[a.context, a.context], &causal(a));
        self.floats("epsilon", &[], &[NORM_EPSILON]);
        self.floats("scale", &[], &[(head as f32).powf(-0.5)]);
        self.counts("zero", &[0]);
        self.counts("zeros", &[0, 0]);
        self.counts("first_axis", &[0]);
        self.counts("both_axes", &[0, 1]);
        // A zero keeps the size that there is: batch and tokens.
        self.counts("by_heads", &[0, 0, 3 * a.heads, head]);
        self.counts("by_width", &[0, 0, a.attention_width()]);
        self.counts("turned_and_value", &[2 * a.heads, a.heads]);
        self.counts("query_and_key", &[a.heads; 2]);
        self.counts("halves", &[head / 2; 2]);
        self.counts("gate_and_up", &[a.hidden; 2]);
        let tokens = [Attribute::Int("start", 1), Attribute::Int("end", 2)];
        self.named("Shape", &["input_ids"], &["tokens"], &tokens);
        for (table, rows) in [("cosine_table", "cosine"), ("sine_table", "sine")] {
            self.named("Slice", &[table, "zero", "tokens", "first_axis"], &[rows], &[]);
        }
        let square = [Attribute::Int("axis", 0)];
        self.named("Concat", &["tokens", "tokens"], &["square"], &square);
        self.named("Slice", &["mask_table", "zeros", "square", "both_axes"], &["mask"], &[]);
    }

    /// Root-mean-square norm of `x`.
    fn norm(
        &mut self,
        weights: &Weights,
        x: &str,
        name: &str,
        width: usize,
    ) -> Result<String, String> {
        let scale = self.weight(weights, name, &[width])?;
        let at = |what: &str| format!("{name}.{what}");
        let square = self.node("Mul", &[x, x], &at("square"), &[]);
        let axes = [Attribute::Ints("axes", &[-1]), Attribute::Int("keepdims", 1)];
        let mean = self.node("ReduceMean", &[&square], &at("mean"), &axes);
        let sum = self.node("Add", &[&mean, "epsilon"], &at("sum"), &[]);
        let size = self.node("Sqrt", &[&sum], &at("size"), &[]);
        let unit = self.node("Div", &[x, &size], &at("unit"), &[]);
        Ok(self.node("Mul", &[&unit, &scale], &at("out"), &[]))
    }

    fn layer(&mut self, weights: &Weights, x: &str) -> Result<String, String> {
        let a = weights.architecture;
        let attended = self.attend(weights, x)?;
        let x = self.node("Add", &[x, &attended], "attended_to", &[]);
        let fed = self.norm(weights, &x, "feed_norm", a.width)?;
        let both = self.weight(weights, "gate_up", &[a.width, 2 * a.hidden])?;
        let down = self.weight(weights, "down", &[a.hidden, a.width])?;
        let both = self.node("MatMul", &[&fed, &both], "gate_and_up", &[]);
        let [gate, up] = self.split(&both, "gate_and_up", ["gate", "up"], -1);
        let open = self.node("Sigmoid", &[&gate], "open", &[]);
        let gate = self.node("Mul", &[&gate, &open], "silu", &[]);
        let inner = self.node("Mul", &[&gate, &up], "inner", &[]);
        let fed = self.node("MatMul", &[&inner, &down], "fed", &[]);
        Ok(self.node("Add", &[&x, &fed], "done", &[]))
    }

    fn attend(&mut self, weights: &Weights, x: &str) -> Result<String, String> {
        let Architecture { width, .. } = weights.architecture;
        let attention = weights.architecture.attention_width();
        let x = self.norm(weights, x, "attention_norm", width)?;
        let all = self.weight(weights, "query_key_value", &[width, 3 * attention])?;
        let out = self.weight(weights, "attention_out", &[attention, width])?;
        let all = self.node("MatMul", &[&x, &all], "all", &[]);
        let all = self.node("Reshape", &[&all, "by_heads"], "heads", &[]);
        let [both, value] = self.split(&all, "turned_and_value", ["both", "value"], 2);
        // Rotary positions by halves: (a, b) · cosine + (-b, a) · sine.
        let [first, second] = self.split(&both, "halves", ["first", "second"], 3);
        let minus = self.node("Neg", &[&second], "minus", &[]);
        let turned = self.node("Concat", &[&minus, &first], "turned", &[Attribute::Int("axis", 3)]);
        let by_cosine = self.node("Mul", &[&both, "cosine"], "by_cosine", &[]);
        let by_sine = self.node("Mul", &[&turned, "sine"], "by_sine", &[]);
        let both = self.node("Add", &[&by_cosine, &by_sine], "rotated", &[]);
        let [query, key] = self.split(&both, "query_and_key", ["query", "key"], 2);
        // To `[batch, heads, tokens, head]`, keys with the last two the other way round.
        let heads_first = [Attribute::Ints("perm", &[0, 2, 1, 3])];
        let query = self.node("Transpose", &[&query], "queries", &heads_first);
        let value = self.node("Transpose", &[&value], "values", &heads_first);
        let key =
            self.node("Transpose", &[&key], "keys", &[Attribute::Ints("perm", &[0, 2, 3, 1])]);
        let scores = self.node("MatMul", &[&query, &key], "products", &[]);
        let scores = self.node("Mul", &[&scores, "scale"], "scaled", &[]);
        let scores = self.node("Add", &[&scores, "mask"], "masked", &[]);
        let shares = self.node("Softmax", &[&scores], "shares", &[Attribute::Int("axis", -1)]);
        let mixed = self.node("MatMul", &[&shares, &value], "mixed", &[]);
        let mixed = self.node("Transpose", &[&mixed], "tokens_first", &heads_first);
        let mixed = self.node("Reshape", &[&mixed, "by_width"], "rows", &[]);
        Ok(self.node("MatMul", &[&mixed, &out], "attended", &[]))
    }

    fn split(&mut self, x: &str, sizes: &str, outputs: [&str; 2], axis: i64) -> [String; 2] {
        let outputs = outputs.map(|output| format!("{}{output}", self.part));
        let [first, second] = &outputs;
        let axis = [Attribute::Int("axis", axis)];
        self.named("Split", &[x, sizes], &[first, second], &axis);
        outputs
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::protobuf::{Field, fields};
    use super::*;
    use crate::model::fixture;

    fn all(message: &[u8], field: u64) -> Vec<&[u8]> {
        let found = fields(message).into_iter().filter(|(number, _)| *number == field);
        found
            .map(|(_, value)| match value {
                Field::Bytes(bytes) => bytes,
                Field::Int(int) => panic!("{int}"),
            })
            .collect()
    }

    fn texts(message: &[u8], field: u64) -> Vec<String> {
        all(message, field).iter().map(|b| String::from_utf8(b.to_vec()).unwrap()).collect()
    }

    fn ints(message: &[u8], field: u64) -> Vec<u64> {
        let found = fields(message).into_iter().filter(|(number, _)| *number == field);
        found
            .map(|(_, value)| match value {
                Field::Int(int) => int,
                Field::Bytes(bytes) => panic!("{bytes:?}"),
            })
            .collect()
    }

    #[test]
    fn every_node_reads_what_stands_before_it() {
        let checkpoint = fixture::checkpoint();
        let bytes = file(&checkpoint).unwrap();
        assert_eq!(ints(&bytes, 1), [8]);
        assert_eq!(ints(all(&bytes, 8)[0], 2), [17]);
        assert_eq!(texts(all(&bytes, 14)[0], 2), [checkpoint.card.signature()]);
        let graph = all(&bytes, 7)[0];
        let mut known: BTreeSet<String> = ["input_ids".to_owned()].into();
        let mut numbers = 0;
        for tensor in all(graph, 5) {
            let size: u64 = ints(tensor, 1).iter().product();
            let is_float = ints(tensor, 2) == [FLOAT as u64];
            let width = if is_float { 4 } else { 8 };
            assert_eq!(all(tensor, 9)[0].len() as u64, size * width);
            let name = texts(tensor, 8).concat();
            if checkpoint.weights.values.contains_key(&name) {
                numbers += size as usize;
            }
            assert!(known.insert(name.clone()), "{name} stands twice");
        }
        assert_eq!(numbers, checkpoint.weights.architecture.parameters());
        for node in all(graph, 1) {
            for input in texts(node, 1) {
                assert!(known.contains(&input), "{} reads {input}", texts(node, 3).concat());
            }
            for output in texts(node, 2) {
                assert!(known.insert(output.clone()), "{output} is made twice");
            }
        }
        assert!(known.contains("logits"));
        assert_eq!(texts(all(graph, 11)[0], 1), ["input_ids"]);
        assert_eq!(texts(all(graph, 12)[0], 1), ["logits"]);
    }

    #[test]
    fn weights_that_lack_a_tensor_are_an_error() {
        let mut checkpoint = fixture::checkpoint();
        checkpoint.weights.values.remove("layers.1.down");
        assert!(file(&checkpoint).unwrap_err().contains("layers.1.down"));
    }
}
