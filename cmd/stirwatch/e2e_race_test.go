//go:build race

package main

import "os"

// Where the tests look for data races, the program that they start does too; it then ends with
// code 66.
func init() {
	buildFlags = []string{"-race"}
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0") // instead of a second at each end of the program
	}
}
