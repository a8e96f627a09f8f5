mod fixture;
mod naive;
mod property;
mod scenarios;
