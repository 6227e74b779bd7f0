//! Two hospitals on one chain, by commands and files alone.

use crate::command::{PASSWORD, Run, command, plain, run, text};
use std::path::{Path, PathBuf};

pub(crate) struct Two(pub(crate) tempfile::TempDir);

impl Two {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.path(name).to_str().expect("text").to_owned()
    }

    /// A command over the folder of one of them.
    pub(crate) fn at(&self, who: &str, args: &[&str]) -> Run {
        let mut command = command(args);
        command
            .arg("--json")
            .env("MEDLEDGER_DIR", self.path(who))
            .env("MEDLEDGER_PASSWORD", PASSWORD)
            .env("MEDLEDGER_NEW_PASSWORD", PASSWORD);
        run(command, None)
    }

    /// One gives the other everything it has; blocks that are final there then.
    pub(crate) fn give(&self, from: &str, to: &str) -> u64 {
        let (car, news) = (self.file("chain.car"), self.file("news"));
        self.at(from, &["export", "news", "-o", &news, "--force"]).json();
        self.at(from, &["export", "chain", "-o", &car, "--with-reports", "--force"]).json();
        self.at(to, &["import", "chain", &car]).json();
        let heard = self.at(to, &["import", "news", &news]).json();
        heard["finalized"].as_u64().expect("a number")
    }
}

fn exists(path: &Path) -> bool {
    path.try_exists().expect("looked")
}

#[test]
fn two_hospitals_found_a_chain_and_make_a_record_final_together() {
    let two = Two(tempfile::tempdir().expect("a folder"));
    let card = two.file("b.card");
    let new = two.at("b", &["hospital", "new", "--name", "B", "-o", &card]).json();
    assert!(new["chain"].is_null());
    // Not yet a ledger, and it says what to do.
    let early = two.at("b", &["status"]);
    assert!(early.fails(3, "refused", "no_chain").contains("not joined"));
    let again = two.at("b", &["hospital", "card", "-o", &two.file("again.card")]).json();
    assert_eq!(again["hospital"], new["hospital"]);
    assert_eq!(
        std::fs::read(two.path("again.card")).expect("a card"),
        std::fs::read(&card).expect("a card")
    );

    let init = ["init", "--name", "A", "--bits", "207fffff", "--founder", &card];
    let made = two.at("a", &init).json();
    assert_eq!(made["founders"], 2);
    let chain = text(&made, "chain").to_owned();
    let car = two.file("genesis.car");
    two.at("a", &["export", "chain", "-o", &car, "--force"]).json();
    let joined = two.at("b", &["hospital", "join", &car, "--chain", &chain]).json();
    assert_eq!((text(&joined, "chain"), joined["height"].as_u64()), (chain.as_str(), Some(0)));
    let twice = two.at("b", &["hospital", "join", &car, "--chain", &chain]);
    twice.fails(2, "usage", "joined_before");

    // B registers a doctor; the record travels as news and A mines it.
    let add = ["member", "add", "--role", "doctor", "--name", "Dr Bob"];
    let record = text(&two.at("b", &add).json(), "record").to_owned();
    two.give("b", "a");
    two.at("a", &["wait", &record, "--until", "mined", "--timeout", "0"]).fails(
        6,
        "environment",
        "timeout",
    );
    two.at("a", &["mine"]).json();
    two.at("a", &["wait", &record, "--until", "mined", "--timeout", "0"]).json();
    // Alone it makes nothing final, however much it mines, and says what is missing.
    let status = two.at("a", &["status"]).json();
    let awaited = serde_json::json!(
        {"kind": "blocks", "height": 1, "missing": 1, "hospitals": [text(&new, "hospital")]}
    );
    assert_eq!((&status["finalized"], &status["awaited"]), (&0.into(), &awaited));
    let shown = plain(&["status", "--ledger", &two.file("a")]);
    let told = "block 1 is voted for once 1 more hospital has mined at or above it: B";
    assert!(shown.text().contains(told), "{}", shown.text());
    let news = two.at("a", &["export", "news", "-o", &two.file("a.news")]).json();
    assert_eq!(news["awaited"], awaited, "no vote was cast");
    two.at("a", &["receipt", "get", "-o", &two.file("early.bin"), &record]).fails(
        3,
        "refused",
        "not_final",
    );
    assert!(!exists(&two.path("early.bin")));
    two.give("a", "b");
    // Nothing waits to be mined there, and still it has to mine.
    assert_eq!(two.at("b", &["mine"]).json()["awaited"], awaited);
    let shown = plain(&["mine", "--ledger", &two.file("b")]);
    assert!(shown.text().contains("`medledger mine --empty` there does"), "{}", shown.text());
    two.at("b", &["mine", "--empty"]).json();
    let mut finalized = 0;
    for _ in 0..6 {
        two.give("b", "a");
        finalized = two.give("a", "b");
        if finalized > 1 {
            break;
        }
    }
    assert!(finalized > 1, "the record's block is final");
    let awaited = two.at("b", &["status"]).json()["awaited"].clone();
    assert!(awaited.is_null() || awaited["height"].as_u64() > Some(1), "{awaited}");
    for who in ["a", "b"] {
        let receipt = two.file(who);
        let receipt = format!("{receipt}.receipt");
        two.at(who, &["receipt", "get", "-o", &receipt, &record]).json();
        let checked =
            run(command(&["receipt", "check", &receipt, "--chain", &chain, "--json"]), None);
        let checked = checked.json();
        assert_eq!((&checked["hospitals"], &checked["quorum"]), (&2.into(), &2.into()));
    }
}

#[test]
fn a_chain_of_one_hospital_admits_another_and_expels_it() {
    let two = Two(tempfile::tempdir().expect("a folder"));
    let made = two.at("a", &["init", "--name", "A", "--bits", "207fffff"]).json();
    let chain = text(&made, "chain").to_owned();
    let [card, car, proposal] = ["b.card", "chain.car", "proposal"].map(|name| two.file(name));
    let new = two.at("b", &["hospital", "new", "--name", "B", "-o", &card]).json();
    let b = text(&new, "hospital").to_owned();
    // A card for founding a chain is none for joining this one.
    let propose = ["hospital", "propose", "--admit", &card, "-o", &proposal];
    two.at("a", &propose).fails(2, "usage", "card");
    let again = ["hospital", "card", "--chain", &chain, "-o", &card];
    two.at("b", &again).fails(2, "usage", "file_exists");
    two.at("b", &[&again[..], &["--force"]].concat()).json();
    let proposed = two.at("a", &propose).json();
    assert_eq!((text(&proposed, "change"), text(&proposed, "name")), ("admit", "B"));
    assert_eq!(
        (&proposed["needed"], proposed["approved"].as_array().map(Vec::len)),
        (&1.into(), Some(1))
    );
    let done = two.at("a", &["hospital", "submit", &proposal, "--wait"]).json();
    assert_eq!(text(&done, "hospital"), b);
    let record = text(&done, "record").to_owned();
    two.at("a", &["export", "chain", "-o", &car, "--force"]).json();
    two.at("b", &["hospital", "join", &car, "--chain", &chain]).json();
    let listed = two.at("b", &["hospital", "list"]).json();
    let hospitals = listed["hospitals"].as_array().expect("a list");
    assert_eq!((&listed["quorum"], &listed["changes"], hospitals.len()), (&2.into(), &1.into(), 2));
    assert!(hospitals.iter().all(|hospital| hospital["votes"] == true));

    // The receipt of a later record shows how the hospitals changed, in both forms.
    let add = ["member", "add", "--role", "doctor", "--name", "Dr Bob"];
    let later = text(&two.at("b", &add).json(), "record").to_owned();
    two.at("b", &["mine"]).json();
    two.give("b", "a");
    two.at("a", &["mine", "--empty"]).json();
    for _ in 0..6 {
        two.give("a", "b");
        if two.give("b", "a") > 2 {
            break;
        }
    }
    let check = |record: &str, form: &str| {
        let file = two.file(&format!("{}.{form}", &record[..8]));
        two.at("a", &["receipt", "get", "-o", &file, record, "--format", form]).json();
        run(command(&["receipt", "check", &file, "--chain", &chain, "--json"]), None).json()
    };
    assert_eq!(check(&record, "dag-cbor")["quorum"], 1);
    for form in ["dag-cbor", "tlog-proof"] {
        assert_eq!(check(&later, form)["quorum"], 2);
    }

    // Of two it takes both to part.
    let part = ["hospital", "propose", "--expel", &b, "-o", &proposal, "--force"];
    two.at("a", &part).json();
    let few = two.at("a", &["hospital", "submit", &proposal]);
    few.fails(3, "refused", "too_few_approvals");
    let shown = two.at("b", &["hospital", "approve", &proposal, "--show"]).json();
    assert_eq!((text(&shown, "change"), &shown["needed"]), ("expel", &2.into()));
    two.at("b", &["hospital", "approve", &proposal]).json();
    two.at("a", &["hospital", "submit", &proposal, "--wait"]).json();
    for _ in 0..6 {
        two.give("a", "b");
        two.give("b", "a");
    }
    let listed = two.at("a", &["hospital", "list"]).json();
    assert_eq!((&listed["quorum"], &listed["changes"]), (&1.into(), &2.into()));
    // Who went is still seen, here, among the members, and in the log.
    assert_eq!(text(&listed["expelled"][0], "hospital"), b);
    let members = two.at("a", &["member", "list"]).json();
    let expelled = members["members"].as_array().expect("a list").iter();
    let expelled: Vec<_> = expelled.filter(|member| member["expelled"] == true).collect();
    assert_eq!((expelled.len(), text(expelled[0], "id")), (1, b.as_str()));
    let log = two.at("a", &["log", "--kind", "admit"]).json();
    let says = |n: usize| &log["records"][n]["says"];
    assert_eq!((text(says(0), "admitted"), text(says(1), "expelled")), (b.as_str(), b.as_str()));
    let refused = two.at("b", &["mine", "--empty"]);
    let message = refused.fails(3, "refused", "no_mining_key");
    assert!(message.contains("was expelled in block"), "{message}");
    let refused = two.at("b", &["mine", "--keep"]);
    assert_eq!(refused.fails(3, "refused", "no_mining_key"), message);
    two.at("a", &["verify"]).json();
    two.at("b", &["verify"]).json();
}

/// The block that admits it is given up for a heavier branch that has not heard of it.
#[test]
fn one_that_is_not_admitted_yet_is_told_so_by_mine() {
    let three = Two(tempfile::tempdir().expect("a folder"));
    let [card, car, proposal, other] =
        ["card", "chain.car", "proposal", "other.car"].map(|name| three.file(name));
    three.at("b", &["hospital", "new", "--name", "B", "-o", &card]).json();
    let init = ["init", "--name", "A", "--bits", "207fffff", "--founder", &card];
    let chain = text(&three.at("a", &init).json(), "chain").to_owned();
    three.at("a", &["export", "chain", "-o", &car]).json();
    three.at("b", &["hospital", "join", &car, "--chain", &chain]).json();
    three.at("c", &["hospital", "new", "--name", "C", "-o", &three.file("new.card")]).json();
    let own = ["hospital", "card", "--chain", &chain, "-o", &card, "--force"];
    three.at("c", &own).json();
    three.at("a", &["hospital", "propose", "--admit", &card, "-o", &proposal]).json();
    three.at("b", &["hospital", "approve", &proposal]).json();
    three.at("a", &["hospital", "submit", &proposal, "--wait"]).json();
    three.at("a", &["export", "chain", "-o", &car, "--force"]).json();
    three.at("c", &["hospital", "join", &car, "--chain", &chain]).json();
    for _ in 0..2 {
        three.at("b", &["mine", "--empty"]).json();
    }
    three.at("b", &["export", "chain", "-o", &other]).json();
    let taken = three.at("c", &["import", "chain", &other]).json();
    assert_eq!((&taken["added"], &taken["removed"]), (&2.into(), &1.into()));
    let lighter = three.at("c", &["import", "chain", &car]);
    lighter.fails(3, "refused", "forked");
    assert!(lighter.hint().contains("`medledger import news FILE`"), "{}", lighter.stderr);
    for how in ["--empty", "--keep"] {
        let refused = three.at("c", &["mine", how]);
        let message = refused.fails(3, "refused", "no_mining_key");
        assert!(message.contains("not among those of the chain yet"), "{message}");
        assert!(refused.hint().contains("medledger import chain"), "{}", refused.stderr);
    }
    // It goes on where the others are.
    three.at("a", &["import", "chain", &other]).json();
    three.at("a", &["mine"]).json();
    three.at("a", &["export", "chain", "-o", &car, "--force"]).json();
    three.at("c", &["import", "chain", &car]).json();
    three.at("c", &["mine", "--empty"]).json();
}

/// In another folder than the one where commands look by themselves.
#[test]
fn what_init_says_to_do_next_names_the_folder() {
    let two = Two(tempfile::tempdir().expect("a folder"));
    let card = two.file("b.card");
    two.at("b", &["hospital", "new", "--name", "B", "-o", &card]).json();
    let folder = two.file("a folder");
    let mut init =
        command(&["init", "--bits", "207fffff", "--founder", &card, "--ledger", &folder]);
    init.env("MEDLEDGER_PASSWORD", PASSWORD);
    let told = run(init, None);
    for next in ["medledger export chain", "medledger member add"] {
        let line = format!("{next} --ledger '{folder}' ");
        assert!(told.text().contains(&line), "{}", told.text());
    }
    assert!(told.text().contains("medledger hospital join --ledger FOLDER chain.car --chain"));
}

#[test]
fn proposals_that_are_none_are_refused_by_name() {
    let two = Two(tempfile::tempdir().expect("a folder"));
    let garbage = two.file("garbage");
    std::fs::write(&garbage, b"\xa1\x61v\x01").expect("written");
    two.at("a", &["init", "--bits", "207fffff"]).json();
    let message =
        two.at("a", &["hospital", "approve", &garbage]).fails(2, "usage", "not_a_proposal");
    // Which file, what it should be, and where it stops being one; no spelling of a parser's.
    assert!(message.contains(&garbage) && message.contains("proposal"), "{message}");
    assert!(message.contains("lacks the field `chain`") && !message.contains("Msg("), "{message}");
    two.at("a", &["hospital", "submit", &garbage]).fails(2, "usage", "not_a_proposal");
    let own = two.at("a", &["hospital", "list"]).json();
    let own = text(&own["hospitals"][0], "hospital").to_owned();
    let proposal = two.file("proposal");
    two.at("a", &["hospital", "propose", "--expel", &own, "-o", &proposal]).json();
    // The last one cannot go.
    two.at("a", &["hospital", "submit", &proposal]).fails(3, "refused", "hospital_count");
}

#[test]
fn cards_and_news_that_are_none_are_refused_by_name() {
    let two = Two(tempfile::tempdir().expect("a folder"));
    let garbage = two.file("garbage");
    std::fs::write(&garbage, b"\xa1\x61v\x01").expect("written");
    let init = ["init", "--bits", "207fffff", "--founder", &garbage];
    two.at("a", &init).fails(2, "usage", "card");
    assert!(!exists(&two.path("a")));
    two.at("a", &["init", "--bits", "207fffff"]).json();
    two.at("a", &["import", "news", &garbage]).fails(2, "usage", "not_news");
    let (mine, news) = (two.file("b.card"), two.file("news"));
    two.at("b", &["init", "--bits", "207fffff", "--name", "Other"]).json();
    two.at("b", &["export", "news", "-o", &news, "--force"]).json();
    two.at("a", &["import", "news", &news]).fails(3, "refused", "other_chain");
    // A card that is given twice is one founder less than meant.
    two.at("e", &["hospital", "new", "--name", "E", "-o", &two.file("e.card")]).json();
    let twice = ["--founder", &two.file("e.card"), "--founder", &two.file("e.card")];
    let init = [&["init", "--bits", "207fffff"], &twice[..]].concat();
    let message = two.at("f", &init).fails(2, "usage", "founders");
    assert!(message.contains("given twice"), "{message}");
    assert!(!exists(&two.path("f")));
    // A card for a chain that is there does not found another.
    two.at("c", &["hospital", "new", "--name", "C", "-o", &mine]).json();
    let elsewhere = "01".repeat(32);
    two.at("c", &["hospital", "card", "--chain", &elsewhere, "-o", &mine, "--force"]).json();
    two.at("d", &["init", "--bits", "207fffff", "--founder", &mine]).fails(2, "usage", "card");
}
