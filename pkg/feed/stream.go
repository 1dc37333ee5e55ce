// SPDX-License-Identifier: Apache-2.0

package feed

import (
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
)

// stream is a watch that ends when it is silent, and passes on only what the reflector should see.
type stream struct {
	source *source
	call   *call
	inner  watch.Interface
	closed func()
	out    chan watch.Event

	once sync.Once
	done chan struct{}
}

func newStream(s *source, c *call, inner watch.Interface, closed func()) *stream {
	w := &stream{source: s, call: c, inner: inner, closed: closed, out: make(chan watch.Event), done: make(chan struct{})}
	go w.run()
	return w
}

// ResultChan is what watch.Interface asks for.
func (w *stream) ResultChan() <-chan watch.Event { return w.out }

// Stop is what watch.Interface asks for.
func (w *stream) Stop() { w.once.Do(func() { close(w.done) }) }

func (w *stream) run() {
	defer close(w.out)
	defer w.closed()
	defer w.inner.Stop()
	silence := time.NewTimer(w.source.timing.Silence)
	defer silence.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-silence.C:
			w.send(silentEvent())
			return
		case event, ok := <-w.inner.ResultChan():
			if !ok || !w.pass(event) {
				return
			}
			silence.Reset(w.source.timing.Silence)
		}
	}
}

// pass hands on one event and says whether to go on. A connection that broke just ends the watch: the reflector then
// watches on from the last event, at once.
func (w *stream) pass(event watch.Event) bool {
	if event.Type == watch.Error {
		return w.broken(event)
	}
	if o, ok := event.Object.(*item); !ok || o.kind != w.source.kind || (o.Name == "" && event.Type != watch.Bookmark) {
		w.source.failed(unreadable("an event of the peer's feed is not of the kind that was asked for"), nil)
		w.send(errorEvent())
		return false
	}
	w.call.delivered()
	return w.send(event)
}

func (w *stream) broken(event watch.Event) bool {
	err := apierrors.FromObject(event.Object)
	p, cause := w.call.failure()
	switch {
	case p.reason == v1alpha1.ReasonUnreachable:
		return false
	case !p.none():
		w.source.failed(p, cause)
	case apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse), apierrors.HasStatusCause(err, "ClientWatchDecoding"):
		w.source.failed(unreadable("an event of the peer's feed cannot be decoded: do the two clusters run versions of mc-wan that fit"), err)
	case apierrors.IsGone(err), apierrors.IsResourceExpired(err):
		w.send(event)
		return false
	}
	w.send(errorEvent())
	return false
}

func (w *stream) send(event watch.Event) bool {
	select {
	case <-w.done:
		return false
	case w.out <- event:
		return true
	}
}

// silentEvent and errorEvent make the reflector list anew: events may have been lost.
func silentEvent() watch.Event {
	return watch.Event{Type: watch.Error, Object: &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusGatewayTimeout, Reason: metav1.StatusReasonTimeout, Message: "no event or bookmark in time"}}
}

func errorEvent() watch.Event {
	return watch.Event{Type: watch.Error, Object: &metav1.Status{Status: metav1.StatusFailure, Code: http.StatusBadGateway, Reason: metav1.StatusReasonUnknown, Message: "the watch cannot be read"}}
}
