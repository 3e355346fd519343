//! What every exchange must pass against its simulator, over real sockets: one test for each behaviour, written once.
//!
//! [`case`] says what an exchange is called where; [`session`] runs the engine against its simulator, [`tables`] holds
//! the rows that came, [`truth`] compares them with what the simulator wrote down. The behaviours lie in the other files
//! by subject. A behaviour that stands in no list below is dead code, and an exchange without a case does not compile.
#![allow(clippy::unwrap_used)]

#[path = "conformance/arbitration.rs"]
mod arbitration;
#[path = "conformance/books.rs"]
mod books;
#[path = "conformance/case.rs"]
mod case;
#[path = "conformance/compound.rs"]
mod compound;
#[path = "conformance/connections.rs"]
mod connections;
#[path = "conformance/draw.rs"]
mod draw;
#[path = "conformance/instruments.rs"]
mod instruments;
#[path = "conformance/recovery.rs"]
mod recovery;
#[path = "conformance/rows.rs"]
mod rows;
#[path = "conformance/seeded.rs"]
mod seeded;
#[path = "conformance/session.rs"]
mod session;
#[path = "conformance/streams.rs"]
mod streams;
#[path = "conformance/tables.rs"]
mod tables;
#[path = "conformance/truth.rs"]
mod truth;

use xtrader_core::symbol::Venue;

/// Runs every behaviour for every exchange.
macro_rules! conformance {
    ([$($venue:ident as $module:ident),+ $(,)?] $behaviours:tt) => {
        const _: () = assert!([$(Venue::$venue),+].len() == Venue::ALL.len(), "every venue is judged");
        $(mod $module {
            use xtrader_core::symbol::Venue;
            conformance!(@one $venue $behaviours);
        })+
    };
    (@one $venue:ident { $($(#[$meta:meta])* $file:ident::$behaviour:ident),+ $(,)? }) => {
        $(
            #[test]
            $(#[$meta])*
            fn $behaviour() {
                super::$file::$behaviour(super::case::of(Venue::$venue));
            }
        )+
    };
}

conformance! {
    [BinanceFutures as binance_futures, BinanceSpot as binance_spot, Okx as okx, Deribit as deribit]
    {
        connections::every_stream_flows,
        connections::a_lost_connection_comes_back,
        connections::a_connection_without_data_lives_on,
        connections::an_announced_end_costs_nothing,
        connections::a_maintenance_is_one_outage,
        connections::a_login_opens_the_faster_books_and_a_wrong_one_fails,
        connections::a_secret_that_comes_back_late_is_shown_nowhere,
        connections::a_market_that_stands_still_is_quiet_and_not_dead,
        connections::requests_and_upgrades_stay_under_the_limits,
        connections::an_exchange_that_moved_is_found_where_it_is,
        connections::a_request_too_many_is_asked_again_later,
        rows::every_row_is_what_was_issued,
        rows::every_size_is_in_base_units,
        streams::a_stream_that_never_speaks_is_named,
        streams::a_subscription_that_is_never_answered_is_made_anew,
        streams::a_stream_of_states_that_should_speak_is_missed,
        streams::what_is_asked_for_no_more_is_ended,
        streams::a_refused_stream_is_named_and_the_others_run_on,
        streams::a_refusal_that_does_not_say_of_what_costs_no_other,
        streams::a_stream_of_which_all_is_refused_goes_on,
        streams::an_exchange_that_has_no_time_is_waited_for,
        streams::an_alien_instrument_is_counted_and_left_out,
        streams::a_malformed_frame_costs_only_itself,
        streams::lost_trades_are_named_one_by_one,
        recovery::lost_trades_come_by_rest,
        recovery::what_rest_has_forgotten_is_named,
        books::a_lost_change_is_a_gap_and_a_resync,
        books::a_crossed_book_is_named_and_begins_anew,
        books::a_checksum_proves_the_book_where_there_is_one,
        books::ids_that_fall_with_the_chain_intact_cost_nothing,
        books::levels_beyond_the_snapshot_are_as_the_manual_says,
        instruments::what_is_listed_while_running_is_taken_in,
        instruments::every_market_is_meant_in_every_form,
        instruments::a_halt_is_a_row_and_no_gap,
        arbitration::what_is_missing_is_what_no_connection_carried,
        arbitration::a_planned_replacement_leaves_no_gap,
        arbitration::a_slow_address_is_left_for_one_that_nobody_has_tried,
        #[ignore = "takes minutes: make test-long"]
        arbitration::what_is_missing_is_what_no_connection_carried_for_long,
        compound::every_known_seed_is_survived,
        #[ignore = "takes minutes: make test-long"]
        compound::new_seeds_are_survived,
        seeded::books_and_trades_survive_seconds_of_faults,
        #[ignore = "takes minutes: make test-long"]
        seeded::books_and_trades_survive_minutes_of_faults,
    }
}
