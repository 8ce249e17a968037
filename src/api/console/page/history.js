// Samples over time: counters become rates, and the last minutes of each are kept for the plots.

/** Samples that are kept of each series: two minutes at one a second. */
export const KEPT = 120;

/** What is known of one thing over time: `in`, `out` and `lag` of a topic, or of the server. */
export class History {
  points = [];
  #before = null;

  /** Takes the counters of now (milliseconds), with whatever else is to be plotted. */
  push(at, traffic, more = {}) {
    const before = this.#before;
    this.#before = traffic ? { at, traffic } : null;
    const point = { at, in: null, out: null, inBytes: null, outBytes: null, ...more };
    // Counters that went back belong to another life of the server.
    if (traffic && before && at > before.at && traffic.publishedMessages >= before.traffic.publishedMessages) {
      const per = (name) => Math.max(0, (traffic[name] - before.traffic[name]) / ((at - before.at) / 1000));
      point.in = per('publishedMessages');
      point.out = per('deliveredMessages');
      point.inBytes = per('publishedBytes');
      point.outBytes = per('deliveredBytes');
    }
    this.points.push(point);
    if (this.points.length > KEPT) this.points.shift();
    return point;
  }

  /** The newest point. */
  get now() {
    return this.points.at(-1) ?? { in: null, out: null, inBytes: null, outBytes: null, lag: 0 };
  }
}
