// Flood sends calls at fixed moments, whatever comes back, or from callers that each wait for their reply.
//
// A caller in Python needs as much of the processor as the service that it asks; this one needs a tenth of that, so that
// one machine can ask for several times what it can answer. What to do is JSON on stdin; what came back is JSON on stdout.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

const (
	connections = 8
	warmUpCalls = 20
	// how long after its end a load waits for replies
	callTimeout = 30 * time.Second
	// where a window is chosen, no pings measure how large it should be while replies come
	window = 1 << 20
)

// load is what load.Load says in Python: messages are base64, which is how Go's JSON reads bytes.
type load struct {
	Address  string   `json:"address"`
	Method   string   `json:"method"`
	Messages [][]byte `json:"messages"`
	InFlight int      `json:"in_flight"`
	Seconds  float64  `json:"seconds"`
	Rate     float64  `json:"rate"`
}

// heard is what load.Heard takes: calls by status, of the good ones when they were due and how long they took [s], and
// how long it took until others were refused [s].
type heard struct {
	lock    sync.Mutex
	Calls   map[string]int `json:"calls"`
	Sent    []float64      `json:"sent"`
	Took    []float64      `json:"took"`
	Refused []float64      `json:"refused"`
	Seconds float64        `json:"seconds"`
}

func (h *heard) take(code string, due time.Time) {
	took := time.Since(due).Seconds()
	h.lock.Lock()
	defer h.lock.Unlock()
	h.Calls[code]++
	switch code {
	case "OK":
		h.Sent = append(h.Sent, float64(due.UnixNano())/1e9)
		h.Took = append(h.Took, took)
	case "RESOURCE_EXHAUSTED":
		h.Refused = append(h.Refused, took)
	}
}

// plain hands messages over as they are.
type plain struct{}

func (plain) Name() string { return "proto" }
func (plain) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}
func (plain) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// canonical turns "ResourceExhausted" into "RESOURCE_EXHAUSTED" and "Canceled" into "CANCELLED".
func canonical(code string) string {
	if code == "OK" {
		return code
	}
	var name strings.Builder
	for i, letter := range code {
		if i > 0 && unicode.IsUpper(letter) {
			name.WriteByte('_')
		}
		name.WriteRune(unicode.ToUpper(letter))
	}
	return strings.Replace(name.String(), "CANCELED", "CANCELLED", 1)
}

func main() {
	var asked load
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		log.Fatal(err)
	}
	channels := make([]*grpc.ClientConn, connections)
	for i := range channels {
		channel, err := grpc.NewClient(asked.Address,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithInitialWindowSize(window),
			grpc.WithInitialConnWindowSize(window),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(plain{})))
		if err != nil {
			log.Fatal(err)
		}
		channels[i] = channel
	}
	// one deadline for all, as one for each call would cost a timer each
	lasts := time.Duration(asked.Seconds*float64(time.Second)) + callTimeout
	ctx, cancel := context.WithTimeout(context.Background(), lasts)
	defer cancel()
	once := func(i int, channel *grpc.ClientConn) string {
		var reply []byte
		message := asked.Messages[i%len(asked.Messages)]
		err := channel.Invoke(ctx, asked.Method, message, &reply, grpc.WaitForReady(true))
		return canonical(status.Code(err).String())
	}
	for i := range connections * warmUpCalls {
		once(i, channels[i%connections])
	}
	if asked.Rate == 0 {
		// who waits for replies needs one core, and no second one that looks for something to do
		runtime.GOMAXPROCS(1)
	}
	result := &heard{Calls: map[string]int{}, Sent: []float64{}, Took: []float64{}, Refused: []float64{}}
	var running sync.WaitGroup
	begin := time.Now()
	if asked.Rate > 0 {
		for i := range int(asked.Rate * asked.Seconds) {
			due := begin.Add(time.Duration(float64(i) / asked.Rate * float64(time.Second)))
			time.Sleep(time.Until(due))
			running.Go(func() { result.take(once(i, channels[i%connections]), due) })
		}
	} else {
		for caller := range asked.InFlight {
			running.Go(func() {
				// each keeps to its connection: if all took turns on all, the busiest server would set the pace of every one
				channel := channels[caller%connections]
				// each begins elsewhere, so that equal messages do not meet
				for i := 101 * caller; time.Since(begin).Seconds() < asked.Seconds; i += connections + 1 {
					due := time.Now()
					result.take(once(i, channel), due)
				}
			})
		}
	}
	running.Wait()
	result.Seconds = time.Since(begin).Seconds()
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		log.Fatal(err)
	}
}
