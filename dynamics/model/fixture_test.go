package model

import "os"

// sample is a plausible model: heat that fades towards 566 °C, one loss, lag and dead time.
func sample() *Model {
	m, err := Load("../testdata/sample.json")
	if err != nil {
		panic(err)
	}
	return m
}

// plant is a file of hypotheses small enough to learn in a moment.
var plant = func() string {
	text, err := os.ReadFile("../testdata/plant.yaml")
	if err != nil {
		panic(err)
	}
	return string(text)
}()
