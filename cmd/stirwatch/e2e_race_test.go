//go:build race

package main

// Where the tests look for data races, the program that they start does too; it then ends with
// code 66.
func init() { buildFlags = []string{"-race"} }
