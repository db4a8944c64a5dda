// Judges pods by Kubernetes' own Pod Security Standards: reads pod templates from stdin as a JSON list, and prints for
// each, as a JSON list, why the cluster would refuse it where it enforces "restricted"; empty where it would not.
package main

import (
	"encoding/json"
	"log"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func main() {
	var templates []corev1.PodTemplateSpec
	if err := json.NewDecoder(os.Stdin).Decode(&templates); err != nil {
		log.Fatal(err)
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks())
	if err != nil {
		log.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	refusals := make([]string, 0, len(templates))
	for _, template := range templates {
		results := evaluator.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec)
		found := policy.AggregateCheckResults(results)
		refusals = append(refusals, found.ForbiddenDetail())
	}
	if err := json.NewEncoder(os.Stdout).Encode(refusals); err != nil {
		log.Fatal(err)
	}
}
