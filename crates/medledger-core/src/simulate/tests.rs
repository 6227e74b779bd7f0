//! Simulations against theory. Seeds are fixed, and bounds are four standard errors wide or more.

use super::*;
use crate::pow::Bits;

const BITS: Bits = Bits::from_u32(0x1b00_ffff);
const FLOOR: Bits = Bits::from_u32(0x1d00_ffff);

fn fixed(shares: &[f64], blocks: u64) -> Scenario {
    let miners = shares.iter().map(|share| Miner::new(*share)).collect();
    Scenario { miners, blocks, ..Scenario::new(Schedule::Fixed { bits: BITS }, 600.0) }
}

fn far(mut scenario: Scenario, seconds: u64) -> Scenario {
    scenario.miners.iter_mut().for_each(|m| m.latency = Duration::from_secs(seconds));
    scenario
}

fn summary(scenario: &Scenario) -> Summary {
    run(scenario).unwrap().summary(10)
}

fn mean(blocks: &[ChainBlock]) -> f64 {
    blocks.iter().map(|block| block.interval).sum::<f64>() / blocks.len() as f64
}

#[test]
fn without_latency_nothing_is_stale_times_are_exponential_and_shares_are_kept() {
    let found = summary(&fixed(&[4.0, 3.0, 2.0, 1.0], 20_000));
    assert_eq!((found.blocks, found.found, found.stale, found.reorgs), (20_000, 20_000, 0, 0));
    let spacing = found.spacing;
    for (name, measured, ideal, bound) in [
        ("mean", spacing.mean, 600.0, 0.03),
        ("median", spacing.median, 600.0 * 2f64.ln(), 0.042),
        ("95 %", spacing.p95, 600.0 * 20f64.ln(), 0.042),
    ] {
        assert!((measured / ideal - 1.0).abs() < bound, "{name}: {measured}, not {ideal}");
    }
    let ideal = [spacing.ideal_mean, spacing.ideal_median, spacing.ideal_p95];
    for (ideal, exact) in ideal.iter().zip([1.0, 2f64.ln(), 20f64.ln()]) {
        assert!((ideal / 600.0 - exact).abs() < 1e-12);
    }
    for (miner, share) in found.miners.iter().zip([0.4, 0.3, 0.2, 0.1]) {
        assert!((miner.hash_share - share).abs() < 1e-12);
        assert!((miner.chain_share - share).abs() < 0.0142, "{miner:?}");
    }
}

#[test]
fn blocks_found_while_another_is_on_its_way_go_stale() {
    let found = summary(&far(fixed(&[1.0; 10], 50_000), 6));
    // One of the others finds one within the six seconds, and one of the two is lost.
    let fork = 1.0 - (-0.9f64 * 6.0 / 600.0).exp();
    let expected = fork / (1.0 + fork);
    let ratio = found.stale_rate / expected;
    assert!((0.8..1.2).contains(&ratio), "{} of {expected}", found.stale_rate);
    assert!(found.reorgs > found.stale && (1..4).contains(&found.deepest_reorg), "{found:?}");
}

#[test]
fn a_miner_that_is_far_away_gets_less_than_its_share() {
    let mut scenario = fixed(&[0.2; 5], 20_000);
    scenario.miners[4].latency = Duration::from_secs(300);
    let found = summary(&scenario);
    let [near @ .., away] = &found.miners[..] else { panic!("five miners") };
    assert!(away.chain_share < 0.185, "{found:?}");
    assert!(near.iter().all(|miner| miner.chain_share > 0.195), "{found:?}");
    let part = |miner: &MinerSummary| miner.stale as f64 / (miner.stale + miner.blocks) as f64;
    assert!(near.iter().all(|miner| part(away) > 1.5 * part(miner)), "{found:?}");
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_gives_another() {
    let mut scenario = far(fixed(&[0.5, 0.3, 0.2], 500), 30);
    let first = run(&scenario).unwrap();
    assert_eq!(first, run(&scenario).unwrap());
    scenario.seed = 2;
    let other = run(&scenario).unwrap();
    assert!(first.chain.iter().zip(&other.chain).all(|(a, b)| a.found != b.found));
}

#[test]
fn the_parts_of_a_run_add_up() {
    let run = run(&far(fixed(&[0.5, 0.3, 0.2], 1003), 60)).unwrap();
    let found = run.summary(10);
    assert_eq!(run.chain.len() as u64, found.blocks);
    assert_eq!(run.chain.iter().map(|block| u64::from(block.stale)).sum::<u64>(), found.stale);
    assert_eq!(found.miners.iter().map(|miner| miner.stale).sum::<u64>(), found.stale);
    assert!(found.stale > 20);
    let mut before = 0.0;
    for (height, block) in (1..).zip(&run.chain) {
        assert_eq!(block.height, height);
        assert!((block.found - before - block.interval).abs() < 1e-6);
        // Clocks are right, so headers are late only where the rules demand it.
        assert!(f64::from(block.time) > block.found - 1.0);
        before = block.found;
    }
    let sections = &found.sections;
    assert!(sections.len() <= 10 && sections[0].from == 1);
    assert!(sections.windows(2).all(|pair| pair[0].to + 1 == pair[1].from));
    assert_eq!(sections.last().unwrap().to, found.blocks);
    let times = sections.iter().map(|part| part.spacing * (part.to - part.from + 1) as f64);
    assert!((times.sum::<f64>() - found.seconds).abs() < 1e-3);
}

#[test]
fn asert_follows_the_hash_rate_and_keeps_to_its_plan() {
    let half_life = 30 * 600;
    let schedule = Schedule::Asert { bits: BITS, floor: FLOOR, spacing: 600, half_life };
    let mut scenario = Scenario { schedule, ..fixed(&[0.6, 0.4], 4000) };
    scenario.steps = vec![Step { height: 1000, factor: 4.0 }];
    let chain = run(&scenario).unwrap().chain;
    assert!((mean(&chain[..1000]) / 600.0 - 1.0).abs() < 0.05);
    assert!(mean(&chain[1001..1011]) < 400.0, "{}", mean(&chain[1001..1011]));
    assert!((mean(&chain[1400..]) / 600.0 - 1.0).abs() < 0.03, "{}", mean(&chain[1400..]));
    let difficulty = chain[1400..].iter().map(|block| block.difficulty).sum::<f64>() / 2600.0;
    assert!((3.6..4.4).contains(&difficulty), "{difficulty}");
    // Four times the difficulty is two half-lives ahead of the plan, whatever happened on the way.
    let ahead = 4000.0 * 600.0 - chain[3999].found;
    assert!((ahead / f64::from(half_life) - 2.0).abs() < 1.0, "{ahead}");
}

#[test]
fn bitcoins_windows_follow_the_hash_rate_by_a_factor_of_four_at_most() {
    let schedule = Schedule::Bitcoin { bits: BITS, floor: FLOOR, window: 400, spacing: 600 };
    let mut scenario = Scenario { schedule, ..fixed(&[1.0], 2000) };
    scenario.steps = vec![Step { height: 1199, factor: 2.0 }];
    let chain = run(&scenario).unwrap().chain;
    let window = |n: usize| &chain[400 * n - 1..400 * (n + 1) - 1];
    for n in 1..4 {
        assert!(window(n).iter().all(|block| block.bits == window(n)[0].bits), "window {n}");
    }
    let (before, fast, after) = (window(2), window(3), window(4));
    assert!((0.8..1.2).contains(&before[0].difficulty));
    assert!((mean(fast) / 300.0 - 1.0).abs() < 0.25, "{}", mean(fast));
    assert!((1.6..2.4).contains(&after[0].difficulty), "{}", after[0].difficulty);
    assert!((mean(after) / 600.0 - 1.0).abs() < 0.25, "{}", mean(after));

    scenario.steps = vec![Step { height: 1199, factor: 100.0 }];
    let chain = run(&scenario).unwrap().chain;
    let ratio = chain[1600].difficulty / chain[1500].difficulty;
    assert!((ratio - 4.0).abs() < 0.001, "{ratio}");
}

#[test]
fn selfish_mining_gains_what_eyal_and_sirer_say() {
    // Where the lower id decides, the others take each side of a tie in half of the cases.
    for (share, bound) in [(0.1, 0.012), (0.3, 0.02), (0.4, 0.025)] {
        let mut scenario = fixed(&[share], 20_000);
        scenario.miners[0].strategy = Strategy::Selfish;
        scenario.miners.extend((0..6).map(|_| Miner::new((1.0 - share) / 6.0)));
        let found = summary(&scenario);
        let (got, expected) = (found.miners[0].chain_share, selfish_revenue(share, 0.5));
        assert!((got - expected).abs() < bound, "{share}: {got}, not {expected}");
    }
    assert!(selfish_revenue(0.1, 0.5) < 0.08 && selfish_revenue(0.4, 0.5) > 0.5);
}

#[test]
fn double_spends_succeed_as_often_as_theory_says() {
    let trials = 2000;
    let all = [(0.1, 1), (0.1, 3), (0.2, 2), (0.3, 1), (0.3, 6), (0.4, 4)];
    for (share, confirmations) in all {
        let scenario = fixed(&[0.7, 0.3], 1);
        let attempt = Attack { confirmations, trials, ..Attack::new(scenario, share) };
        let result = attack(&attempt).unwrap();
        let expected = double_spend(share, confirmations, Ties::LowerId);
        assert_eq!(result.theory, expected);
        let error = (expected * (1.0 - expected) / f64::from(trials)).sqrt();
        let off = (result.success - expected).abs();
        assert!(off < 4.0 * error, "{share} {confirmations}: {} {expected}", result.success);
        assert_eq!(result.success, f64::from(result.successes) / f64::from(trials));
    }
    // Far enough from what holds where the attacker wins every tie to tell the two apart.
    assert!(double_spend(0.3, 1, Ties::Attacker) - double_spend(0.3, 1, Ties::LowerId) > 0.1);
}

#[test]
fn slow_news_among_the_honest_help_an_attacker() {
    let near = Attack { confirmations: 3, ..Attack::new(fixed(&[1.0; 4], 1), 0.3) };
    let away = Attack { scenario: far(near.scenario.clone(), 300), ..near };
    let (near, away) = (attack(&near).unwrap(), attack(&away).unwrap());
    assert!(away.success > near.success + 0.05, "{} {}", away.success, near.success);
}

#[test]
fn what_is_final_is_never_undone() {
    let attempt = Attack { confirmations: 3, ..Attack::new(fixed(&[1.0], 1), 0.4) };
    let with = |final_after| attack(&Attack { final_after, ..attempt.clone() }).unwrap();
    // Relied on when it is final, or later: no success at all.
    for final_after in [1, 2, 3] {
        let result = with(final_after);
        assert!(result.successes > 300 && result.successes_with_finality == 0, "{result:?}");
    }
    // Relied on before: those that are fast enough.
    let [four, eight, never] = [4, 8, u32::MAX].map(with);
    assert!(four.successes == eight.successes && eight.successes == never.successes);
    assert!(0 < four.successes_with_finality);
    assert!(four.successes_with_finality < eight.successes_with_finality);
    assert!(eight.successes_with_finality < never.successes_with_finality);
    assert_eq!(never.successes_with_finality, never.successes);
}

#[test]
fn scenarios_that_are_none_are_refused() {
    let good = fixed(&[1.0], 10);
    let refused = |change: &dyn Fn(&mut Scenario)| {
        let mut scenario = good.clone();
        change(&mut scenario);
        run(&scenario).unwrap_err()
    };
    let number = |change: &dyn Fn(&mut Scenario)| match refused(change) {
        SimulateError::Number { what, .. } => what,
        other => panic!("{other}"),
    };
    assert_eq!(number(&|s| s.spacing = 0.0), "the spacing");
    assert_eq!(number(&|s| s.spacing = f64::NAN), "the spacing");
    assert_eq!(number(&|s| s.miners[0].share = -1.0), "a share");
    assert_eq!(number(&|s| s.miners[0].latency = Duration::MAX), "a latency");
    assert_eq!(number(&|s| s.blocks = 0), "the number of blocks");
    assert_eq!(number(&|s| s.blocks = 1_000_001), "the number of blocks");
    let step = |height, factor| Step { height, factor };
    assert_eq!(number(&|s| s.steps = vec![step(1, 0.0)]), "a change of the hash rate");
    let order = refused(&|s| s.steps = vec![step(5, 1.0), step(5, 2.0)]);
    assert_eq!(order, SimulateError::Order { found: 5, after: 5 });
    assert!(matches!(refused(&|s| s.miners.clear()), SimulateError::Miners { found: 0, .. }));
    let bits = Bits::from_u32(0);
    let schedule = refused(&|s| s.schedule = Schedule::Fixed { bits });
    assert!(matches!(schedule, SimulateError::Schedule(_)));
    assert!(matches!(refused(&|s| s.spacing = 1e9), SimulateError::OutOfTime { .. }));
    let stale = refused(&|s| {
        s.miners = vec![Miner::new(1.0); 200];
        s.miners.iter_mut().for_each(|miner| miner.latency = Duration::from_secs(1_000_000));
        s.blocks = 100;
    });
    assert_eq!(stale, SimulateError::TooManyFound { limit: 10_800 });

    let attempt = Attack::new(good.clone(), 0.3);
    let wrong: [(&str, Attack); 5] = [
        ("the attacker's share", Attack { share: 1.0, ..attempt.clone() }),
        ("the number of confirmations", Attack { confirmations: 0, ..attempt.clone() }),
        ("the number of blocks until one is final", Attack { final_after: 0, ..attempt.clone() }),
        ("the number of blocks to give up at", Attack { give_up: 0, ..attempt.clone() }),
        ("the number of trials", Attack { trials: 0, ..attempt }),
    ];
    for (name, attempt) in wrong {
        let error = attack(&attempt).unwrap_err();
        assert!(matches!(error, SimulateError::Number { what, .. } if what == name), "{error}");
    }
}
