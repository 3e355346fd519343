//! What the owner of a running stream changes.

use std::time::Duration;

use xtrader_core::engine::Command;
use xtrader_runtime::RuntimeError;
use xtrader_runtime::live::{LiveStream, Policy};

use crate::peer::{Peer, read_to_end, text};
use crate::script::{PATIENCE, Run, Script, Seen, options};

fn add(texts: &[&str]) -> Command {
    Command::Add(texts.iter().map(|text| (*text).to_owned()).collect())
}

#[test]
fn a_command_is_an_input_and_the_engine_s_verdict_the_answer() {
    let run = Run::start(options(), Vec::new(), |_| Vec::new());
    for command in [
        add(&["binance-futures:ETHUSDT", "binance-futures:*BTC"]),
        Command::Remove(vec!["binance-futures:ETHUSDT".to_owned()]),
        Command::Connections(3),
    ] {
        run.stream.command(&command).unwrap();
        let Seen::Command(_, taken) = run.seen() else { panic!("another input") };
        assert_eq!(taken, command);
    }
    let refused = run.stream.command(&Command::Connections(17)).unwrap_err();
    assert!(matches!(refused, RuntimeError::Config(_)), "{refused:?}");
    assert!(refused.to_string().contains("1 to 16"), "{refused}");
}

#[test]
fn what_no_shard_serves_is_refused_before_anybody_is_told() {
    let run = Run::start(options(), Vec::new(), |_| Vec::new());
    for (texts, remedy) in [
        (&["binance-futures:ETHUSDT", "okx-swap:ETHUSDT"][..], "serves binance-futures and not okx; open another"),
        (&["kraken:ETHUSDT"], "okx-swap"),
        (&["ETHUSDT"], "EXCHANGE:SYMBOL"),
        (&[], "name at least one"),
    ] {
        let refused = run.stream.command(&add(texts)).unwrap_err().to_string();
        assert!(refused.contains(remedy), "{refused}");
    }
    run.stream.command(&Command::Connections(2)).unwrap();
    assert!(matches!(run.seen(), Seen::Command(_, Command::Connections(2))), "the first that it hears of");
}

#[test]
fn a_stream_that_has_ended_takes_no_command() {
    let run = Run::start(options(), Vec::new(), |_| Vec::new());
    run.stream.stop().unwrap();
    let refused = run.stream.command(&Command::Connections(2)).unwrap_err();
    assert!(refused.to_string().contains("it has ended"), "{refused}");
}

#[test]
fn a_consumer_that_stands_still_does_not_hold_a_command_up() {
    let peer = Peer::websocket(|mut stream, _| {
        let big = text(&"x".repeat(1 << 18));
        while std::io::Write::write_all(&mut stream, &big).is_ok() {}
        read_to_end(stream);
    });
    let mut options = options();
    (options.policy, options.queue_bytes) = (Policy::Block, 1 << 20);
    let (script, inputs) = Script::new(vec![crate::script::open(1, peer.ws())], |_| Vec::new());
    let stream = LiveStream::start_with(options, script).unwrap();
    let full = || stream.report().unwrap()["blocked_batches"].as_u64() > Some(0);
    let deadline = std::time::Instant::now() + PATIENCE;
    while !full() {
        assert!(std::time::Instant::now() < deadline, "nothing blocks");
        std::thread::sleep(Duration::from_millis(1));
    }
    stream.command(&Command::Connections(2)).unwrap();
    assert!(inputs.try_iter().any(|seen| matches!(seen, Seen::Command(..))));
}
