package anomaly

// Confidence is how often an anomaly of a code names rightly what is at work: (right+1)/(raised+2) over 1,000 simulated builds on machines
// that differ by 20 %, half of them with a fault, others than those that are scored (TestScoreBuilds of agent/detect, seeds 3000001 to
// 3001000, both metals). A step is right where the thermocouple has a fault, also as that ends. Codes that no fault of those builds raises are
// read off a status, and nearly certain.
func Confidence(c Code) float64 {
	if p, ok := confidence[c]; ok {
		return p
	}
	return 0.98
}

var confidence = map[Code]float64{
	Innovation:    0.5, // says that the equation does not hold, not why
	SensorFailure: 0.98,
	SensorRate:    0.96,
	SensorStuck:   0.97,
	SensorStep:    0.99,
	SensorDrift:   0.96,
	Feedstock:     0.97,
	Jam:           0.90,
	LiftOff:       0.88,
	Flash:         0.97,
	ColdStart:     0.97,
	Coolant:       0.98,
	Unreachable:   0.99,
	ToolWear:      0.90,

	ProcessUnusual: 0.5, // says that something is other than ever, not what
}
