package learn

import "os"

// plant is a file of hypotheses small enough to learn in a moment.
var plant = func() string {
	text, err := os.ReadFile("../testdata/plant.yaml")
	if err != nil {
		panic(err)
	}
	return string(text)
}()
