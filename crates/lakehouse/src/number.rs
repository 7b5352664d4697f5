//! Numbers as platforms write them in reports, read exactly.
//!
//! Everything is counted in billionths (scale 9, the lake's scale), as integers. There is no float anywhere, and no
//! guessing: thousands separators, exponents, percent and currency signs are not numbers.

use domain::report::Measure;
use rust_decimal::Decimal;

/// Digits after the point of every decimal in the lake. Iceberg can widen a precision later, never a scale.
pub(crate) const SCALE: u32 = 9;

/// All digits of a decimal in the lake.
pub(crate) const PRECISION: u32 = 28;

/// Billionths in one.
pub(crate) const ONE: i128 = 1_000_000_000;

const NANOS: i64 = 1_000_000_000;

/// The powers of ten that fit 64 bits with all smaller numbers of as many digits.
const POWERS: [u64; 19] = {
    let mut powers = [1; 19];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

/// The largest magnitude that fits the lake's decimals, in billionths.
pub(crate) const LARGEST: i128 = 10_i128.pow(PRECISION) - 1;

/// Digits before the point that still fit.
const INTEGER_DIGITS: usize = (PRECISION - SCALE) as usize;

/// A number, in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    /// The value in billionths, rounded half away from zero where more digits were shown.
    pub(crate) nanos: i128,
    /// How many digits after the point were shown.
    pub(crate) digits: u32,
}

/// What a measure's cell says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell {
    /// A value.
    Known(Number),
    /// The platform keeps it to itself (`< 1000`, `Unknown`): not zero, and not to be summed.
    Withheld,
}

/// Reads a measure's cell; `None` when it can't be read as this measure.
///
/// `-` is how Google's reports write "none": zero. Counts may be written `1.00`, and are never negative. Money may be
/// negative: adjustments are.
pub(crate) fn parse(text: &str, measure: Measure) -> Option<Cell> {
    let number = match plain(text) {
        Some(number) => number,
        None => match text.trim() {
            "-" => Number { nanos: 0, digits: 0 },
            "Unknown" => return Some(Cell::Withheld),
            text => match text.strip_prefix('<') {
                Some(threshold) => return decimal(threshold.trim_start()).map(|_| Cell::Withheld),
                None => decimal(text)?,
            },
        },
    };
    let allowed = match measure {
        Measure::MediaCost | Measure::ConversionValue => true,
        Measure::Conversions => number.nanos >= 0,
        _ => count(number.nanos).is_some_and(|count| count >= 0),
    };
    allowed.then_some(Cell::Known(number))
}

/// The whole number that some billionths are; `None` for fractions, and beyond 64 bits.
pub(crate) fn count(nanos: i128) -> Option<i64> {
    // Dividing 64 bits is many times faster, and mostly enough.
    if let Ok(small) = i64::try_from(nanos) {
        return (small % NANOS == 0).then_some(small / NANOS);
    }
    if nanos % ONE == 0 { i64::try_from(nanos / ONE).ok() } else { None }
}

/// What nearly every cell is, digits with at most one point that fit 64 bits, read in one go: reports have a dozen numbers in
/// each of their million rows. `None` says nothing: [`decimal`] reads the others.
fn plain(text: &str) -> Option<Number> {
    let (mut value, mut digits, mut fraction, mut after_point) = (0_u64, 0_usize, 0_usize, false);
    if text.len() > POWERS.len() {
        return None;
    }
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + u64::from(byte - b'0');
                digits += 1;
                fraction += usize::from(after_point);
            }
            b'.' if !after_point => after_point = true,
            _ => return None,
        }
    }
    if !(1..POWERS.len()).contains(&digits) {
        return None;
    }
    let missing = (SCALE as usize).checked_sub(fraction)?;
    let nanos = i128::from(value) * i128::from(*POWERS.get(missing)?);
    Some(Number { nanos, digits: u32::try_from(fraction).unwrap_or(u32::MAX) })
}

/// Reads a plain decimal: `12`, `-0.5`, `3.`, `.25`.
fn decimal(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
    let (integer, fraction) = (&digits[..point], digits.get(point + 1..).unwrap_or_default());
    if integer.is_empty() && fraction.is_empty() {
        return None;
    }
    let leading = integer.iter().take_while(|byte| **byte == b'0').count();
    if integer.len() - leading > INTEGER_DIGITS {
        return None;
    }
    let whole = accumulate(0, integer)?;
    let nanos = fraction_nanos(whole, fraction)?;
    let digits = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
    (nanos <= LARGEST).then_some(Number { nanos: if negative { -nanos } else { nanos }, digits })
}

fn fraction_nanos(whole: i128, fraction: &[u8]) -> Option<i128> {
    let (kept, rest) = fraction.split_at(fraction.len().min(SCALE as usize));
    let nanos = accumulate(whole, kept)? * i128::from(*POWERS.get(SCALE as usize - kept.len())?);
    accumulate_checked(rest)?;
    Some(nanos + i128::from(rest.first().is_some_and(|digit| *digit >= b'5')))
}

fn accumulate(start: i128, digits: &[u8]) -> Option<i128> {
    let mut value = start;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i128::from(digit - b'0');
    }
    Some(value)
}

fn accumulate_checked(digits: &[u8]) -> Option<()> {
    digits.iter().all(u8::is_ascii_digit).then_some(())
}

/// The same amount as a decimal; `None` beyond what the lake holds.
pub(crate) fn to_decimal(nanos: i128) -> Option<Decimal> {
    Decimal::try_from_i128_with_scale(nanos, SCALE).ok().map(|decimal| decimal.normalize())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nanos(text: &str, measure: Measure) -> Option<i128> {
        match parse(text, measure)? {
            Cell::Known(number) => Some(number.nanos),
            Cell::Withheld => None,
        }
    }

    #[test]
    fn plain_decimals_are_read_exactly() {
        let table = [
            ("0", 0),
            ("12", 12 * ONE),
            ("12.34", 12_340_000_000),
            ("-0.000001", -1_000),
            (".5", ONE / 2),
            ("3.", 3 * ONE),
            (" 7 ", 7 * ONE),
            ("0000000000000000000000001", ONE),
            ("0.0000000005", 1),
            ("9999999999999999999.999999999", LARGEST),
        ];
        for (text, expected) in table {
            assert_eq!(nanos(text, Measure::MediaCost), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused() {
        for text in
            ["", "1,000", "1.2.3", "1e5", "12%", "€5", "--1", "NaN", "1 000", ".", "99999999999999999999", "<", "< x"]
        {
            assert_eq!(parse(text, Measure::MediaCost), None, "{text}");
        }
    }

    #[test]
    fn counts_are_whole_and_never_negative() {
        assert_eq!(nanos("1.00", Measure::Impressions), Some(ONE));
        assert_eq!(parse("1.5", Measure::Impressions), None);
        assert_eq!(parse("-1", Measure::Clicks), None);
        assert_eq!(parse("-1", Measure::Conversions), None);
        assert_eq!(nanos("-1", Measure::ConversionValue), Some(-ONE));
    }

    #[test]
    fn a_dash_is_zero_and_a_threshold_is_withheld() {
        assert_eq!(nanos("-", Measure::Clicks), Some(0));
        for text in ["< 1000", "<1000", "< 5", "Unknown"] {
            assert_eq!(parse(text, Measure::Clicks), Some(Cell::Withheld), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_in_one_go_is_what_the_other_reads(text in "[0-9]{0,20}[.]?[0-9]{0,12}") {
            if let Some(number) = plain(&text) {
                prop_assert_eq!(decimal(&text), Some(number));
            }
        }

        #[test]
        fn every_decimal_of_the_lake_reads_back(mantissa in -LARGEST..=LARGEST) {
            let text = to_decimal(mantissa).unwrap().to_string();
            prop_assert_eq!(nanos(&text, Measure::MediaCost), Some(mantissa));
        }
    }
}
