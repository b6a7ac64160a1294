use super::{Amount, AmountError};

#[test]
fn reads_numbers_exactly() {
    let check = |text: &str, expected: Result<&str, AmountError>| {
        let got = Amount::parse(text).map(|amount| amount.to_string());
        assert_eq!(got, expected.map(str::to_owned), "{text}");
    };
    check("0", Ok("0"));
    check("0e400", Ok("0"));
    check("1", Ok("1"));
    check("1.50", Ok("1.5"));
    check("0.1", Ok("0.1"));
    check("1e3", Ok("1000"));
    check("12.5e-1", Ok("1.25"));
    check("0.000000001", Ok("0.000000001"));
    check("1.0000000000000000", Ok("1"));
    check("1e18", Ok("1000000000000000000"));
    check(
        "999999999999999999.999999999",
        Ok("999999999999999999.999999999"),
    );
    check("0.0000000001", Err(AmountError::TooFine));
    check("1.0000000001", Err(AmountError::TooFine));
    check("1e-400", Err(AmountError::TooFine));
    check("1000000000000000000.1", Err(AmountError::TooLarge));
    check("1e19", Err(AmountError::TooLarge));
    check("1E400", Err(AmountError::TooLarge));
    check("-1", Err(AmountError::Negative));
    check("-0", Err(AmountError::Negative));
    check("01", Err(AmountError::NotANumber));
    check("", Err(AmountError::NotANumber));
    check("1e", Err(AmountError::NotANumber));
    check("NaN", Err(AmountError::NotANumber));
}

#[test]
fn survives_serialisation_even_as_a_large_sum() {
    let large = Amount::from_units(u128::MAX);
    for amount in [Amount::ZERO, Amount::ONE, Amount::from_units(1), large] {
        let text = serde_json::to_string(&amount).unwrap();
        assert_eq!(serde_json::from_str::<Amount>(&text).unwrap(), amount);
    }
    for bad in ["\"-1\"", "\"1.\\u0030000000001\"", "\"\"", "\"1e3\"", "1"] {
        assert!(serde_json::from_str::<Amount>(bad).is_err(), "{bad}");
    }
}
