//! Names go into tables, terminals and headers of letters: a line of visible characters each.

use crate::support::{PASSWORD, options, rng, world};
use medledger::{Contact, CreateError, GroupError, Identity, Ledger, RegisterError, Role};

#[test]
fn pitfall_37_names_of_people_that_control_or_hide_are_refused() {
    let w = world();
    let hidden =
        ['\r', '\n', '\t', '\u{1b}', '\u{9b}', '\u{2028}', '\u{202e}', '\u{2066}', '\u{200b}'];
    for bad in hidden.into_iter().chain(['\u{2069}', '\u{feff}']) {
        let contact = Contact::named(format!("Eve{bad}Bcc: all@example.org"));
        let member = Identity::generate(&mut rng());
        let error = w.ledger.register(&w.hospital, &member, Role::Doctor, &contact).unwrap_err();
        assert!(matches!(error, RegisterError::Character { found } if found == bad), "{error}");
        // What is said of it can be printed.
        assert!(!error.to_string().contains(bad), "{error}");
    }
    assert_eq!(w.ledger.members().unwrap().len(), 3);

    let mut options = options();
    options.hospital = Contact::named("General\nHospital");
    let folder = w.folder.with_file_name("other");
    let error = Ledger::create(&folder, options, PASSWORD).unwrap_err();
    assert!(matches!(error, CreateError::Hospital(RegisterError::Character { found: '\n' })));
}

#[test]
fn names_that_show_nothing_are_refused() {
    let w = world();
    for blank in [" ", "   ", "\u{a0}\u{3000}", "\u{200d}", "\u{3164}"] {
        let member = Identity::generate(&mut rng());
        let contact = Contact::named(blank);
        let error = w.ledger.register(&w.hospital, &member, Role::Doctor, &contact).unwrap_err();
        let found = blank.chars().count();
        assert!(matches!(error, RegisterError::Blank { found: n } if n == found), "{error}");
        assert!(error.to_string().contains("1 to 200"), "{error}");
        let error = w.ledger.create_group(&w.hospital, blank, &[w.doctor.id()]).unwrap_err();
        assert!(matches!(error, GroupError::Name), "{error}");
        assert!(error.to_string().contains("1 to 200"), "{error}");
        let mut options = options();
        options.hospital = Contact::named(blank);
        let error = Ledger::create(w.folder.with_file_name("other"), options, PASSWORD);
        assert!(matches!(error, Err(CreateError::Hospital(RegisterError::Blank { .. }))));
    }
}

#[test]
fn names_of_every_script_are_taken() {
    let w = world();
    for name in ["Zoë d’Œuvre", "李雷", "نرگس\u{200c}سادات", "ක්\u{200d}රිෂ්ණ", "Nguyễn Thị Minh"]
    {
        let member = Identity::generate(&mut rng());
        let contact = Contact::named(name);
        w.ledger.register(&w.hospital, &member, Role::Doctor, &contact).expect(name);
    }
}

#[test]
fn names_with_spaces_around_them_are_refused() {
    let w = world();
    for name in [" Ada", "Ada ", "Ada\u{a0}", "\u{3000}Ada"] {
        let member = Identity::generate(&mut rng());
        let contact = Contact::named(name);
        let error = w.ledger.register(&w.hospital, &member, Role::Doctor, &contact).unwrap_err();
        assert!(matches!(&error, RegisterError::Spaces { found } if found == name), "{error}");
        let error = w.ledger.create_group(&w.hospital, name, &[w.doctor.id()]).unwrap_err();
        assert!(matches!(&error, GroupError::Spaces(found) if found == name), "{error}");
    }
}

#[test]
fn a_group_is_not_called_what_another_is_taken_for() {
    let w = world();
    let create = |name: &str| w.ledger.create_group(&w.hospital, name, &[w.doctor.id()]);
    let board = create("Tumour board").unwrap();
    for again in ["Tumour board", "tumour BOARD"] {
        let error = create(again).unwrap_err();
        assert!(
            matches!(&error, GroupError::NameTaken { group, .. } if *group == board.id),
            "{error}"
        );
    }
    let id = board.id.to_string();
    for like in [&id, &id[..8], &id[..4], &id.to_uppercase(), "deadbeef", "12345678"] {
        let error = create(like).unwrap_err();
        assert!(matches!(error, GroupError::LikeAnId(_)), "{like}: {error}");
    }
    // Neither before there is the group of the role, nor after.
    for _ in 0..2 {
        for name in ["every doctor", "Every Nurse"] {
            let error = create(name).unwrap_err();
            assert!(matches!(error, GroupError::Everyone(_)), "{error}");
        }
        let _ = w.ledger.create_role_group(&w.hospital, Role::Doctor);
    }
    assert_eq!(w.ledger.groups().unwrap().len(), 2);
    create("ward 12").unwrap();
}
