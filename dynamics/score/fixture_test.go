package score

import "stirwatch/dynamics/model"

// sample is a plausible model: heat that fades towards 566 °C, one loss, lag and dead time.
func sample() *model.Model {
	m, err := model.Load("../testdata/sample.json")
	if err != nil {
		panic(err)
	}
	return m
}
