// Package twin is a simulated additive friction stir deposition machine that speaks the real
// protocols. Its physics is its own and shares nothing with the models that are learned from a
// machine's data; docs/twin.md describes it and compares it with a recorded build.
package twin
