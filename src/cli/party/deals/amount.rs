//! Amounts of money as people type them, in the currency's own decimals (ISO 4217).

use std::str::FromStr;

use crate::statement::words::{Currency, Money};

/// An amount as typed: `120` or `120.00`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    whole: String,
    fraction: Option<String>,
}

/// Why a text is no amount of a currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("an amount such as 120 or 120.00")]
    Form,
    #[error("{currency} has {decimals} decimals: write all of them, or none")]
    Decimals { currency: Currency, decimals: usize },
    #[error("more than a statement can say")]
    TooLarge,
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        if !digits(whole) || !fraction.is_none_or(digits) {
            return Err(AmountError::Form);
        }
        Ok(Self {
            whole: whole.to_owned(),
            fraction: fraction.map(str::to_owned),
        })
    }
}

impl Amount {
    /// The amount in minor units of its currency.
    ///
    /// # Errors
    /// [`AmountError::Decimals`]: `1.5` may be a slip for `1.50` or `15.0`.
    pub fn of(&self, currency: Currency) -> Result<Money, AmountError> {
        let decimals = currency.decimals();
        let fraction = match &self.fraction {
            None => "0".repeat(decimals),
            Some(fraction) if fraction.len() == decimals => fraction.clone(),
            Some(_) => return Err(AmountError::Decimals { currency, decimals }),
        };
        let minor_units = format!("{}{fraction}", self.whole).parse();
        Ok(Money {
            currency,
            minor_units: minor_units.map_err(|_| AmountError::TooLarge)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn minor_units(text: &str, currency: &str) -> Result<u32, AmountError> {
        let amount: Amount = text.parse()?;
        let money = amount.of(currency.parse().unwrap())?;
        Ok(money.minor_units)
    }

    #[test]
    fn amounts_are_read_in_their_currency_s_decimals() {
        for (text, currency, expected) in [
            ("120.00", "USD", 12_000),
            ("120", "USD", 12_000),
            ("0.05", "EUR", 5),
            ("1500", "JPY", 1500),
            ("1500", "XAF", 1500),
            ("1.250", "KWD", 1250),
            ("1.2500", "CLF", 12_500),
            ("42949672.95", "USD", u32::MAX),
        ] {
            assert_eq!(
                minor_units(text, currency),
                Ok(expected),
                "{text} {currency}"
            );
        }
        for (text, currency, decimals) in [
            ("1.5", "USD", 2),
            ("1.500", "USD", 2),
            ("1.0", "JPY", 0),
            ("1.25", "KWD", 3),
        ] {
            let refused = AmountError::Decimals {
                currency: currency.parse().unwrap(),
                decimals,
            };
            assert_eq!(minor_units(text, currency), Err(refused));
        }
        assert_eq!(
            minor_units("42949672.96", "USD"),
            Err(AmountError::TooLarge)
        );
        for bad in [
            "", ".", "1.", ".5", "-1", "+1", "1,000", "1e3", "1.0.0", " 1", "٣",
        ] {
            assert_eq!(bad.parse::<Amount>(), Err(AmountError::Form), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn cents_are_read_as_they_are_written(cents: u32) {
            let text = format!("{}.{:02}", cents / 100, cents % 100);
            prop_assert_eq!(minor_units(&text, "USD"), Ok(cents));
        }
    }
}
