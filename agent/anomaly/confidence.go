package anomaly

// Confidence is how often an anomaly of a code names rightly what is at work: (right+1)/(raised+2) over 300 simulated builds, half
// of them with a fault, others than those that are scored (TestScoreBuilds of agent/detect, seeds 10001 to 10300). Codes that no
// fault of those builds raises are read off a status, and nearly certain.
func Confidence(c Code) float64 {
	if p, ok := confidence[c]; ok {
		return p
	}
	return 0.98
}

var confidence = map[Code]float64{
	Innovation:    0.5, // says that the equation does not hold, not why
	SensorFailure: 0.94,
	SensorRate:    0.89,
	SensorStuck:   0.89,
	SensorStep:    0.45, // also where a fault ends at once
	SensorDrift:   0.56,
	Feedstock:     0.94,
	Jam:           0.86,
	LiftOff:       0.81,
	Flash:         0.95,
	ColdStart:     0.90,
	Coolant:       0.88,
	Unreachable:   0.99,
	ToolWear:      0.33,
}
