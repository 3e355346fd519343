//! How the numbers of rows stand, and which instruments can be told so.

use serde::{Deserialize, Serialize};

use super::{ConfigError, EngineConfig, Numeric, SizeUnit, What};
use crate::exchange::{Protocol, with_protocol};
use crate::instrument::Conversion;
use crate::symbol::Exchange;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowForm {
    /// How prices and sizes stand in the tables.
    pub numeric: Numeric,
    /// What a size counts.
    pub size_unit: SizeUnit,
}

impl RowForm {
    /// Why an instrument, by the exchange's own name, cannot be told so.
    pub(crate) fn misfit(self, exchange: Exchange, native: &str, conversion: Conversion) -> Option<ConfigError> {
        let (exchange, symbol) = (exchange.id(), native.to_owned());
        match (self.size_unit, conversion) {
            (SizeUnit::Base, Conversion::Unknown) => Some(ConfigError::MissingReference { exchange, symbol }),
            (SizeUnit::Base, Conversion::OverPrice(_)) if self.numeric == Numeric::Fixed => {
                Some(ConfigError::Quotients { exchange, symbol })
            }
            (SizeUnit::Base | SizeUnit::Native, _) => None,
        }
    }
}

impl EngineConfig {
    /// How numbers stand in its rows.
    fn row_form(&self) -> RowForm {
        RowForm { numeric: self.numeric, size_unit: self.size_unit }
    }

    /// How they stood when the session was begun: by this its instruments were chosen.
    pub(crate) fn chosen_for(&self) -> RowForm {
        self.begun_for.unwrap_or_else(|| self.row_form())
    }

    /// Has a recorded session write its rows otherwise, where that is asked for. Its instruments stay those that it had.
    pub fn write_as(&mut self, numeric: Option<Numeric>, size_unit: Option<SizeUnit>) {
        let begun_for = self.chosen_for();
        (self.numeric, self.size_unit) = (numeric.unwrap_or(self.numeric), size_unit.unwrap_or(self.size_unit));
        self.begun_for = Some(begun_for).filter(|begun_for| *begun_for != self.row_form());
    }

    /// Instruments whose names tell that they cannot be told so. Of others the reference data will.
    pub(super) fn check_conversions(&self) -> Result<(), ConfigError> {
        for selection in self.selections() {
            let What::Name(name) = &selection.what else { continue };
            let market = selection.market.unwrap_or_else(|| self.venue.word());
            let misfit = with_protocol!(self.venue, P => P::native(market, name).and_then(|native| {
                let told = P::name(&native);
                let is_told = told.conversion != Conversion::Unknown;
                is_told.then(|| self.chosen_for().misfit(told.market, &native, told.conversion)).flatten()
            }));
            misfit.map_or(Ok(()), Err)?;
        }
        Ok(())
    }
}
