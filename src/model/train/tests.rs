//! Runs of a few steps: whole, broken off, of one model from another.

use std::path::Path;

use super::*;

const SIZES: Sizes = Sizes { width: 32, layers: 2, heads: 2, hidden: 128 };

fn run(steps: usize) -> Run<'static> {
    Run::plain(Schedule { steps, batch: 8, learning_rate: 1e-2, ..Schedule::default() })
}

fn corpus_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (language, text) in [
        ("en", include_str!("../../../models/corpus/en.yaml")),
        ("it", include_str!("../../../models/corpus/it.yaml")),
    ] {
        std::fs::write(dir.path().join(format!("{language}.yaml")), text).unwrap();
    }
    dir
}

fn trained(run: &Run<'_>, out: &Path, losses: &mut Vec<f32>) -> Result<Card, TrainError> {
    let corpus = corpus_dir();
    train("small", SIZES, run, corpus.path(), out, &mut |p| losses.push(p.loss))
}

#[test]
fn the_loss_falls_and_the_model_can_be_loaded_and_is_the_same_again() {
    let (out, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut losses = Vec::new();
    let card = trained(&run(40), out.path(), &mut losses).unwrap();
    assert_eq!(losses.len(), 4);
    assert!(losses[3] < 0.8 * losses[0], "{losses:?}");
    assert_eq!(Checkpoint::read(out.path()).unwrap().card, card);
    let training = card.training.clone().unwrap();
    assert!(training.held_out_loss < losses[0]);

    let same = trained(&run(40), again.path(), &mut Vec::new()).unwrap();
    assert_eq!(same.weights_sha256, card.weights_sha256);
}

#[test]
fn what_a_run_read_is_known_afterwards() {
    let out = tempfile::tempdir().unwrap();
    let card = trained(&run(10), out.path(), &mut Vec::new()).unwrap();
    let Checkpoint { vocabulary, grammar, .. } = Checkpoint::read(out.path()).unwrap();
    let read = texts_read(card.runs().map(|run| (run, None)), &vocabulary, &grammar);
    let texts = texts(&vocabulary, &grammar, &run(10).schedule);
    let hash = |(request, text): (WordingRequest, Vec<_>)| {
        text_hash(&request, &vocabulary.draft(&text, request.space))
    };
    assert!(texts.draw(0, 8 * POOL).into_iter().all(|text| read.contains(&hash(text))));
    let later = texts.draw(50, 64).into_iter().filter(|text| !read.contains(&hash(text.clone())));
    assert!(later.count() > 20);
}

/// A run that is broken off and goes on ends where an unbroken one does.
#[test]
fn a_broken_off_run_goes_on() {
    let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let card = trained(&run(40), whole.path(), &mut Vec::new()).unwrap();

    let keep = broken.path().join("training");
    let kept = Run { keep: Some(&keep), keep_every: 20, ..run(40) };
    let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let corpus = corpus_dir();
        train("small", SIZES, &kept, corpus.path(), broken.path(), &mut |p| {
            assert!(p.step < 30, "the power fails");
        })
    }));
    assert!(cut.is_err());
    assert!(keep.join("state.safetensors").exists());
    let mut losses = Vec::new();
    let resumed = trained(&kept, broken.path(), &mut losses).unwrap();
    assert_eq!(losses.len(), 2, "it went on after step 20");
    assert_eq!(resumed.weights_sha256, card.weights_sha256);
    assert_eq!(resumed.training, card.training);
    assert!(!keep.join("state.safetensors").exists());
    let log = std::fs::read_to_string(keep.join("log.csv")).unwrap();
    assert_eq!(log.lines().count(), 5, "{log}");

    // What a broken-off run had come to, and from there with another schedule.
    let part = Run { until: Some(20), ..run(40) };
    let half = trained(&part, whole.path(), &mut Vec::new()).unwrap();
    assert_eq!(half.training.as_ref().unwrap().steps, 20);
    assert!(half.made[0].how.starts_with("20 steps of a schedule of 40"), "{:?}", half.made);
    let gentle = Schedule { learning_rate: 3e-3, ..run(40).schedule };
    let on =
        go_on(whole.path(), None, "on", &Run::plain(gentle), broken.path(), &mut |_| {}).unwrap();
    assert_eq!(on.made.len(), 2);
    let loss = |card: &Card| card.training.as_ref().unwrap().held_out_loss;
    assert!(loss(&on) < loss(&half));

    // Another run does not go on from it.
    let other = Run { schedule: Schedule { seed: 9, ..kept.schedule.clone() }, ..kept.clone() };
    std::fs::write(keep.join("state.safetensors"), b"").unwrap();
    let error = trained(&other, broken.path(), &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("begin anew"), "{error}");
}

#[test]
fn a_student_and_a_pruned_model_come_near_their_teacher() {
    let dirs: Vec<_> = (0..3).map(|_| tempfile::tempdir().unwrap()).collect();
    let teacher = trained(&run(60), dirs[0].path(), &mut Vec::new()).unwrap();
    let mut losses = Vec::new();
    let student = distill::distill(dirs[0].path(), "half", 1, &run(60), dirs[1].path(), &mut |p| {
        losses.push(p.loss);
    })
    .unwrap();
    assert_eq!(student.architecture.layers, 1);
    assert!(losses[5] < losses[0], "{losses:?}");
    let made: Vec<&str> = student.made.iter().map(|made| made.what.as_str()).collect();
    assert_eq!(made, ["trained", "distilled"]);
    assert_eq!(student.made[1].from.as_deref(), Some(teacher.signature().as_str()));

    let pruned =
        prune::prune(dirs[0].path(), "lean", 0.2, &run(30), dirs[2].path(), &mut |_| {}).unwrap();
    assert!(pruned.parameters as f64 <= 0.8 * teacher.parameters as f64);
    assert_eq!(Checkpoint::read(dirs[2].path()).unwrap().card, pruned);
    let loss = |card: &Card| card.training.as_ref().unwrap().held_out_loss;
    assert!(loss(&pruned) < 1.5 * loss(&teacher), "{} {}", loss(&pruned), loss(&teacher));

    let error = distill::distill(dirs[0].path(), "more", 3, &run(1), dirs[1].path(), &mut |_| {});
    assert!(matches!(error, Err(TrainError::Options(_))));
}

#[test]
fn sizes_that_make_no_model_are_an_error() {
    let (corpus, out) = (corpus_dir(), tempfile::tempdir().unwrap());
    let bad = Sizes { width: 40, ..SIZES };
    let error = train("x", bad, &run(1), corpus.path(), out.path(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, TrainError::Options(_)), "{error}");
    let error = train("x", SIZES, &run(1), out.path(), out.path(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("en.yaml"), "{error}");
}

#[test]
fn an_adapter_learns_its_condition_while_the_model_stays() {
    let out = tempfile::tempdir().unwrap();
    let model = trained(&run(20), out.path(), &mut Vec::new()).unwrap();
    let before = std::fs::read(out.path().join("weights.safetensors")).unwrap();
    let mut losses = Vec::new();
    let card = adapt::adapt(out.path(), Condition::Incident, 4, &run(40), &mut |p| {
        losses.push(p.loss);
    })
    .unwrap();
    assert_eq!(losses.len(), 4);
    assert_eq!(card.of, model.signature());
    assert!(card.training.held_out_loss < card.held_out_loss_without - 0.01, "{card:?}");
    assert_eq!(std::fs::read(out.path().join("weights.safetensors")).unwrap(), before);
    let (adapters, errors) = super::super::adapter::read_all(out.path(), &model);
    assert!(errors.is_empty());
    assert_eq!(adapters[0].card, card);

    // It read texts of its condition alone.
    let Checkpoint { vocabulary, grammar, .. } = Checkpoint::read(out.path()).unwrap();
    let own = Texts { condition: Some(Condition::Incident), ..Texts::of(&vocabulary, &grammar, 1) };
    let conditions = own.draw(0, 30).into_iter().map(|(request, _)| Condition::of(&request));
    assert!(conditions.into_iter().all(|condition| condition == Condition::Incident));

    let error = adapt::adapt(out.path(), Condition::Closure, 0, &run(1), &mut |_| {});
    assert!(matches!(error, Err(TrainError::Options(_))));
}
