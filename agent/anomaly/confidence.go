package anomaly

// Confidence is how often an anomaly of a code is right: that its cause was at work when it was raised, counted over simulated
// builds with and without faults (agent/detect, TestFitConfidence), others than those that are scored. Codes that no fault of those
// builds raises have what a condition deserves that is read off a status: nearly certain.
func Confidence(c Code) float64 {
	if p, ok := confidence[c]; ok {
		return p
	}
	return 0.98
}

var confidence = map[Code]float64{
	Innovation: 0.5,
}
