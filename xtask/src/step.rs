//! A step of `cargo xtask test`, and how steps are run and summed up.

use crate::aside::Aside;
use std::time::{Duration, Instant};

/// How a step ended without failing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It ran, and all is well.
    Passed,
    /// It did not run, for this reason.
    Skipped(String),
}

/// What a step does; the error says why it failed.
type Action = Box<dyn Fn() -> Result<Outcome, String>>;

/// One row of the plan.
pub(crate) struct Step {
    /// What it checks, as the summary prints it.
    pub(crate) name: String,
    /// Runs even when other steps were picked by name, because they may need it.
    pub(crate) setup: bool,
    /// Runs beside the others, from the beginning; its result is printed in its place.
    aside: bool,
    action: Action,
}

impl Step {
    pub(crate) fn new(
        name: impl Into<String>,
        action: impl Fn() -> Result<Outcome, String> + 'static,
    ) -> Self {
        Self { name: name.into(), setup: false, aside: false, action: Box::new(action) }
    }

    pub(crate) fn setup(self) -> Self {
        Self { setup: true, ..self }
    }

    pub(crate) fn aside(self) -> Self {
        Self { aside: true, ..self }
    }

    /// Does what it does, here and now.
    pub(crate) fn run(&self) -> Result<Outcome, String> {
        (self.action)()
    }
}

/// What the caller of `test` asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) fail_fast: bool,
    /// Steps whose name holds one of these; all if empty.
    pub(crate) words: Vec<String>,
}

impl Options {
    /// Whether the step was asked for by name, or nothing was.
    pub(crate) fn selects(&self, step: &Step) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| step.name.contains(word.as_str()))
    }
}

/// Runs the steps in order, prints the summary; false if any failed.
pub(crate) fn run_all(steps: &[Step], options: &Options) -> bool {
    let began = Instant::now();
    let chosen = || steps.iter().filter(|step| step.setup || options.selects(step));
    // Whoever wants to know of the first failure at once has nothing run ahead.
    let is_aside = |step: &&Step| step.aside && !options.fail_fast;
    let mut aside = None;
    let mut ended: Vec<(&str, Result<Outcome, String>, Duration)> = Vec::new();
    for step in chosen() {
        println!("\n==== {} ====", step.name);
        // Not before all is set up.
        if aside.is_none() && !step.setup {
            let names = chosen().filter(is_aside).map(|step| step.name.clone());
            aside = Some(Aside::begin(names.collect()));
        }
        let (result, took) = match &aside {
            Some(aside) if is_aside(&step) => beside(aside, step),
            _ => in_place(step),
        };
        println!("---- {}: {} ({})", step.name, describe(&result), seconds(took));
        let failed = result.is_err();
        ended.push((&step.name, result, took));
        if failed && options.fail_fast {
            break;
        }
    }
    let counts = count(ended.iter().map(|(_, result, _)| result));
    println!("\n==== summary ({}) ====", seconds(began.elapsed()));
    let width = ended.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    for (name, result, took) in &ended {
        println!("{name:<width$}  {:>8}  {}", seconds(*took), describe(result));
    }
    let [passed, failed, skipped] = counts;
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
    failed == 0
}

fn in_place(step: &Step) -> (Result<Outcome, String>, Duration) {
    let start = Instant::now();
    (step.run(), start.elapsed())
}

fn beside(aside: &Aside, step: &Step) -> (Result<Outcome, String>, Duration) {
    match aside.next() {
        Ok(ended) if ended.name == step.name => {
            print!("{}", ended.output);
            (ended.result, ended.took)
        }
        Ok(other) => (Err(format!("{:?} came in its place", other.name)), other.took),
        Err(error) => (Err(error), Duration::ZERO),
    }
}

fn count<'a>(results: impl Iterator<Item = &'a Result<Outcome, String>>) -> [usize; 3] {
    let mut counts = [0; 3];
    for result in results {
        counts[match result {
            Ok(Outcome::Passed) => 0,
            Err(_) => 1,
            Ok(Outcome::Skipped(_)) => 2,
        }] += 1;
    }
    counts
}

fn describe(result: &Result<Outcome, String>) -> String {
    match result {
        Ok(Outcome::Passed) => "passed".to_owned(),
        Ok(Outcome::Skipped(reason)) => format!("SKIPPED: {reason}"),
        Err(reason) => format!("FAILED: {reason}"),
    }
}

fn seconds(duration: Duration) -> String {
    let all = duration.as_secs();
    if all < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{}:{:02} min", all / 60, all % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps() -> Vec<Step> {
        vec![
            Step::new("prepare", || Ok(Outcome::Passed)).setup(),
            Step::new("breaks", || Err("because".to_owned())),
            Step::new("absent", || Ok(Outcome::Skipped("not here".to_owned()))),
        ]
    }

    fn words(words: &[&str]) -> Options {
        Options { words: words.iter().map(|w| (*w).to_owned()).collect(), ..Options::default() }
    }

    #[test]
    fn one_failed_step_fails_the_run_and_a_skipped_one_does_not() {
        assert!(!run_all(&steps(), &Options::default()));
        assert!(!run_all(&steps(), &words(&["break"])));
        assert!(run_all(&steps(), &words(&["absent"])));
    }

    #[test]
    fn fail_fast_stops_and_plain_runs_go_on() {
        use std::{cell::Cell, rc::Rc};
        for (fail_fast, expected) in [(true, false), (false, true)] {
            let reached = Rc::new(Cell::new(false));
            let mark = Rc::clone(&reached);
            let mut steps = steps();
            steps.push(Step::new("last", move || {
                mark.set(true);
                Ok(Outcome::Passed)
            }));
            run_all(&steps, &Options { fail_fast, ..Options::default() });
            assert_eq!(reached.get(), expected);
        }
    }

    #[test]
    fn results_are_counted_by_kind() {
        let results =
            [Ok(Outcome::Passed), Err(String::new()), Ok(Outcome::Skipped(String::new()))];
        assert_eq!(count(results.iter().chain(&results[..1])), [2, 1, 1]);
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(seconds(Duration::from_millis(1240)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2:05 min");
    }
}
