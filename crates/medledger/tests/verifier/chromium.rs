//! The page in Chromium: files dropped on it and chosen, good and changed.

use crate::browser::Browser;
use crate::cases::{Case, changed, tally, vectors};
use crate::peer;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::PathBuf;

const PEER: &str = "MEDLEDGER_PEER_CHROMIUM";

/// Drops each file on the page, with its chain id typed before, and reads the verdict it shows.
const DROP_ALL: &str = "(async cases => {
    const [input, result] = ['chain', 'result'].map(id => document.getElementById(id))
    const verdicts = []
    for (const { bytes, chain } of cases) {
        input.value = chain
        input.dispatchEvent(new Event('input'))
        delete result.dataset.verdict
        const data = Uint8Array.from(bytes.match(/../g) ?? [], pair => parseInt(pair, 16))
        const files = new DataTransfer()
        files.items.add(new File([data], 'a.receipt'))
        const drop = { dataTransfer: files, bubbles: true, cancelable: true }
        document.getElementById('drop').dispatchEvent(new DragEvent('drop', drop))
        while (result.dataset.verdict === undefined) await new Promise(done => setTimeout(done))
        const shown = result.querySelector('.verdict').classList
        const valid = result.dataset.verdict === 'ok'
        if (shown.contains('valid') !== valid || shown.contains('invalid') === valid) throw new Error('colours lie')
        if (!valid && !result.innerText.includes(result.dataset.verdict)) throw new Error('no reason is shown')
        verdicts.push(result.dataset.verdict)
    }
    return verdicts
})";

struct Test {
    folder: tempfile::TempDir,
    browser: Browser,
}

impl Test {
    fn start(name: &str) -> Option<Self> {
        let program = peer(name, PEER)?;
        let folder = tempfile::tempdir().unwrap();
        // A file of its own, as a user keeps it.
        let page = folder.path().join("verifier.html");
        std::fs::write(&page, medledger::RECEIPT_VERIFIER).unwrap();
        let address = format!("file://{}", page.display());
        let browser = Browser::open(&program, folder.path(), &address);
        Some(Self { folder, browser })
    }

    fn verdicts(&mut self, cases: &[Case]) -> Vec<String> {
        let list: Vec<Value> = cases
            .iter()
            .map(|c| json!({"bytes": HEXLOWER.encode(&c.bytes), "chain": c.chain}))
            .collect();
        let answer = self.browser.evaluate(&format!("{DROP_ALL}({})", Value::from(list)));
        answer.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
    }

    /// Types the chain id, chooses the file, and gives the verdict once it is there.
    fn choose(&mut self, name: &str, case: &Case) -> String {
        let file = self.folder.path().join(name);
        std::fs::write(&file, &case.bytes).unwrap();
        let chain = Value::from(case.chain.as_str());
        self.browser.evaluate(&format!(
            "{{ const input = document.getElementById('chain'); input.value = {chain};
               input.dispatchEvent(new Event('input'));
               delete document.getElementById('result').dataset.verdict }}"
        ));
        self.browser.choose("#file", &file);
        let verdict = "(async () => { const { dataset } = document.getElementById('result');
            while (dataset.verdict === undefined) await new Promise(done => setTimeout(done));
            return dataset.verdict })()";
        self.browser.evaluate(verdict).as_str().unwrap().to_owned()
    }

    fn shown(&mut self) -> String {
        let text = self.browser.evaluate("document.getElementById('result').innerText");
        text.as_str().unwrap().to_owned()
    }

    /// Keeps a picture for whoever wants to look.
    fn picture(&mut self, name: &str) {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, self.browser.picture()).unwrap();
        println!("{}", path.display());
    }
}

fn good() -> Case {
    vectors().into_iter().find(|case| case.verdict == "ok").unwrap()
}

#[test]
fn hundreds_of_dropped_receipts_get_the_verdict_of_the_rust_code() {
    let name = "hundreds_of_dropped_receipts_get_the_verdict_of_the_rust_code";
    let Some(mut test) = Test::start(name) else { return };
    let mut cases = vectors();
    cases.extend(changed(4, 600));
    for (part, cases) in cases.chunks(100).enumerate() {
        let found = test.verdicts(cases);
        for (i, (case, found)) in cases.iter().zip(&found).enumerate() {
            let shown = HEXLOWER.encode(&case.bytes);
            assert_eq!(found, case.verdict, "case {i} of {part}, {}: {shown}", case.chain);
        }
        assert_eq!(found.len(), cases.len());
    }
    println!("{:?}", tally(&cases));
}

#[test]
fn a_chosen_file_is_explained_in_words_and_its_name_stays_text() {
    let name = "a_chosen_file_is_explained_in_words_and_its_name_stays_text";
    let Some(mut test) = Test::start(name) else { return };
    test.browser.call(
        "Emulation.setDeviceMetricsOverride",
        json!({
            "width": 900, "height": 1250, "deviceScaleFactor": 1, "mobile": false
        }),
    );
    let cases = vectors();
    let valid: Vec<&Case> = cases.iter().filter(|case| case.verdict == "ok").collect();
    // Without a chain id nothing is proved, and the page says so.
    let without = Case { chain: String::new(), ..valid[0].clone() };
    assert_eq!(test.choose("a.receipt", &without), "chain_id");
    assert!(test.shown().contains("Without it a receipt proves nothing"));
    // Of four hospitals: all that the command would tell.
    let four = valid.last().unwrap();
    assert_eq!(test.choose("of-four.tlog-proof", four), "ok");
    let chain: medledger::ChainId = four.chain.parse().unwrap();
    let proven = medledger::Receipt::from_bytes(&four.bytes).unwrap().check(&chain).unwrap();
    let shown = test.shown();
    let mut wanted = vec![
        proven.record.id().to_string(),
        proven.record.record().kind().name().to_owned(),
        proven.record.record().author.to_string(),
        proven.block.to_string(),
        proven.miner.to_string(),
        "4 hospitals; 3 needed".to_owned(),
        format!("covers {} blocks", proven.checkpoint_size),
        medledger::show_time(proven.time).replace('T', " ").replace('Z', " UTC"),
        "That a permission is still live".to_owned(),
    ];
    for (hospital, time) in &proven.cosigned {
        wanted.push(hospital.to_string());
        wanted.push(medledger::show_time(*time).replace('T', " ").replace('Z', " UTC"));
    }
    assert_eq!(proven.cosigned.len(), 3);
    for wanted in wanted {
        assert!(shown.contains(&wanted), "{wanted:?} is not in:\n{shown}");
    }
    test.picture("verifier-valid.png");
    // Dark, and not valid.
    let dark = json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]});
    test.browser.call("Emulation.setEmulatedMedia", dark);
    let bad = cases.iter().find(|case| case.verdict == "record_changed").unwrap();
    let hostile = "<img src=x onerror=alert(1)>.receipt";
    assert_eq!(test.choose(hostile, bad), "record_changed");
    assert!(test.shown().contains(hostile), "{}", test.shown());
    assert_eq!(test.browser.evaluate("document.images.length"), 0);
    test.picture("verifier-invalid-dark.png");
    assert_eq!(test.choose("good.receipt", valid[0]), "ok");
    test.picture("verifier-valid-dark.png");
    test.browser.call(
        "Emulation.setDeviceMetricsOverride",
        json!({
            "width": 360, "height": 1700, "deviceScaleFactor": 1, "mobile": true
        }),
    );
    let wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
    assert_eq!(test.browser.evaluate(wide), false, "a telephone need not scroll sideways");
    test.picture("verifier-telephone-dark.png");
}

/// Every field has a name for those who hear the page, and the verdict is announced.
#[test]
fn the_page_can_be_used_without_seeing_it_or_a_mouse() {
    let name = "the_page_can_be_used_without_seeing_it_or_a_mouse";
    let Some(mut test) = Test::start(name) else { return };
    test.browser.call("Accessibility.enable", json!({}));
    let tree = test.browser.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let named = |role: &str, name: &str| {
        let fits = |node: &&Value| node["role"]["value"] == role && node["name"]["value"] == name;
        nodes.iter().any(|node| fits(&node))
    };
    assert!(named("textbox", "Chain id"));
    assert!(named("heading", "Check a receipt"));
    let file = "document.getElementById('file').labels[0].textContent";
    assert_eq!(test.browser.evaluate(file), "Receipt");
    let result = "(({ role, ariaLive }) => [role, ariaLive])(document.getElementById('result'))";
    assert_eq!(test.browser.evaluate(result), json!(["status", "polite"]));
    let order = "[...document.querySelectorAll('input')].map(field => field.tabIndex)";
    assert_eq!(test.browser.evaluate(order), json!([0, 0]));
}

/// The policy refuses every other script and every request. (Going to another page it cannot refuse;
/// for that, the only scripts are the page's own.)
#[test]
fn the_page_asks_for_nothing_and_its_policy_refuses_what_would() {
    let name = "the_page_asks_for_nothing_and_its_policy_refuses_what_would";
    let Some(mut test) = Test::start(name) else { return };
    assert_eq!(test.choose("a.receipt", &good()), "ok");
    let asked: Vec<String> = test
        .browser
        .events
        .iter()
        .filter(|event| event["method"] == "Network.requestWillBeSent")
        .map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned())
        .filter(|url| !url.ends_with("/verifier.html"))
        .collect();
    assert_eq!(asked, Vec::<String>::new());
    let complaints: Vec<&Value> = test
        .browser
        .events
        .iter()
        .filter(|e| e["method"] == "Log.entryAdded" || e["method"] == "Runtime.exceptionThrown")
        .collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let attempts = format!(
        "(async () => {{
            const url = 'http://{address}/'
            const tried = [await fetch(url).then(() => 'sent', () => 'refused')]
            tried.push(await new Promise(done => {{
                const image = new Image()
                image.onload = () => done('sent'); image.onerror = () => done('refused'); image.src = url }}))
            try {{ new WebSocket('ws://{address}/').onerror = () => 0 }} catch {{}}
            navigator.sendBeacon(url, 'x')
            const script = document.createElement('script')
            script.textContent = 'window.ran = true'
            document.body.append(script)
            await new Promise(done => setTimeout(done, 500))
            return [...tried, window.ran === true ? 'ran' : 'did not run']
        }})()"
    );
    let tried = test.browser.evaluate(&attempts);
    assert_eq!(tried, json!(["refused", "refused", "did not run"]));
    let nobody = listener.accept().map(drop).expect_err("somebody called");
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}
