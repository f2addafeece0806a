// One playhead, many conditions. Every condition loops all the time, in step, behind its own gain; a switch fades the
// old gain out for 5 ms, then the new one in for 5 ms (raised cosine, no overlap: ITU-R BS.1534-3).
//
//          gain A  ‾‾‾\____________        f: frame of the switch, N = 5 ms in frames
//          gain B  _______/‾‾‾‾‾‾‾‾        fades cover frames f ... f+N and f+N+1 ... f+2N+1
//
// Callers say what they want (select, start, pause, restart, loop); #settle turns the difference between that and what
// sounds into fades. Fades that are written are never taken back: what is asked for during a fade waits until it ends,
// and then only the last wish counts. So no two curves overlap (setValueCurveAtTime would throw) and no gain jumps,
// however fast the keys are hit.

const FADE_SECONDS = 0.005;
export const SHORTEST_LOOP_SECONDS = 0.5;
const QUANTUM = 128; // frames that Web Audio renders at a time

/** Raised cosine from `from` (1 or 0) to the other, frames + 1 points, so that each frame falls on a point. */
export function raisedCosine(frames, from) {
  const sign = from === 1 ? 1 : -1;
  return Float32Array.from({ length: frames + 1 }, (_, n) => (1 + sign * Math.cos((Math.PI * n) / frames)) / 2);
}

export class Player {
  index = 0; // the condition that is wanted, and whether sound is; the ear follows within two fades
  playing = false;

  #context;
  #recordings; // whole buffers, as given
  #clips; // what loops: the recordings, or their loop region with faded edges
  #gains;
  #fadeFrames;
  #clipStart = 0; // frame of the recordings at which the clips begin
  #sources = null; // running since #startedAt from #offset; null while paused
  #startedAt = 0;
  #offset = 0; // frame of the clips at which the next start begins
  #audible = null; // the condition that sounds once all written fades are over; null is silence
  #jump = null; // clips and offset to go on with after the next fade-out
  #free = 0; // first frame after all written fades
  #timer = 0;

  /** context: any BaseAudioContext. buffers: AudioBuffers at the context's rate, of one length, one per condition. */
  constructor(context, buffers) {
    this.#context = context;
    this.#recordings = this.#clips = buffers;
    this.#fadeFrames = Math.round(FADE_SECONDS * context.sampleRate);
    this.#gains = buffers.map(() => new GainNode(context, { gain: 0 }));
    this.#gains.forEach((gain) => gain.connect(context.destination));
  }

  get duration() {
    return this.#recordings[0].duration;
  }

  /** Seconds into the recordings. */
  get position() {
    return (this.#clipStart + this.#frameOfClip(this.#context.currentTime * this.#rate)) / this.#rate;
  }

  /** Listen to condition `index`. Here and below `when` (seconds of the context) schedules ahead, in order of time. */
  select(index, when) {
    if (!(index in this.#gains)) throw new RangeError(`there is no condition ${index}`);
    this.index = index;
    this.#change(when);
  }

  start(when) {
    this.playing = true;
    this.#change(when);
  }

  pause(when) {
    this.playing = false;
    this.#change(when);
  }

  /** Back to the start of the loop; playing goes on, a pause stays one. */
  restart(when) {
    this.#jump ??= { clips: this.#clips, clipStart: this.#clipStart };
    this.#change(when);
  }

  /**
   * Loop from `start` to `end` seconds of the recordings, at least 500 ms, from the beginning of that region. The edges
   * get the fades of a switch, so that no region clicks where it closes. Without arguments the recordings loop as they are.
   */
  loop(start, end, when) {
    if (start === undefined) {
      this.#jump = { clips: this.#recordings, clipStart: 0 };
    } else {
      const length = this.#recordings[0].length;
      const shortest = Math.min(length, Math.ceil(SHORTEST_LOOP_SECONDS * this.#rate));
      const first = Math.max(0, Math.min(Math.round(start * this.#rate), length - shortest));
      const last = Math.min(length, Math.max(Math.round(end * this.#rate), first + shortest));
      this.#jump = { clips: this.#recordings.map((recording) => this.#cut(recording, first, last)), clipStart: first };
    }
    this.#change(when);
  }

  get #rate() {
    return this.#context.sampleRate;
  }

  /** First frame that is surely still ahead of the audio thread, which renders one device buffer in a burst. */
  get #nextFrame() {
    const ahead = this.#context.baseLatency ? Math.ceil(this.#context.baseLatency * this.#rate) + QUANTUM : 0;
    return Math.round(this.#context.currentTime * this.#rate) + ahead;
  }

  #change(when) {
    if (when !== undefined) {
      this.#settle(Math.max(Math.round(when * this.#rate), this.#free));
    } else if (this.#nextFrame >= this.#free) {
      this.#settle(this.#nextFrame);
    } else if (!this.#timer) {
      const milliseconds = ((this.#free - this.#nextFrame) / this.#rate) * 1000;
      this.#timer = setTimeout(() => {
        this.#timer = 0;
        this.#settle(Math.max(this.#nextFrame, this.#free));
      }, milliseconds);
    }
  }

  #settle(frame) {
    if (this.playing && this.#audible === this.index && this.#jump === null) return;
    if (this.#audible !== null) {
      this.#fade(this.#audible, 1, frame);
      this.#audible = null;
      frame += this.#fadeFrames + 1;
    }
    if (this.#sources !== null && (!this.playing || this.#jump !== null)) this.#stopSources(frame);
    if (this.#jump !== null) {
      this.#clips = this.#jump.clips;
      this.#clipStart = this.#jump.clipStart;
      this.#offset = 0;
      this.#jump = null;
    }
    if (this.playing) {
      if (this.#sources === null) this.#startSources(frame);
      this.#fade(this.index, 0, frame);
      this.#audible = this.index;
      frame += this.#fadeFrames + 1;
    }
    this.#free = frame;
  }

  #fade(index, from, frame) {
    const curve = raisedCosine(this.#fadeFrames, from);
    this.#gains[index].gain.setValueCurveAtTime(curve, frame / this.#rate, this.#fadeFrames / this.#rate);
  }

  // Starts fall on whole frames: between two frames a source would be interpolated, which dulls it.
  #startSources(frame) {
    this.#sources = this.#clips.map((buffer, k) => {
      const source = new AudioBufferSourceNode(this.#context, { buffer, loop: true });
      source.connect(this.#gains[k]);
      source.start(frame / this.#rate, this.#offset / this.#rate);
      return source;
    });
    this.#startedAt = frame;
  }

  #stopSources(frame) {
    this.#offset = this.#frameOfClip(frame);
    this.#sources.forEach((source) => source.stop(frame / this.#rate));
    this.#sources = null;
  }

  #frameOfClip(frame) {
    const elapsed = this.#sources === null ? 0 : Math.max(0, frame - this.#startedAt);
    return (this.#offset + elapsed) % this.#clips[0].length;
  }

  #cut(recording, first, last) {
    const { numberOfChannels, sampleRate } = recording;
    const clip = new AudioBuffer({ length: last - first, numberOfChannels, sampleRate });
    const rise = raisedCosine(this.#fadeFrames, 0);
    for (let channel = 0; channel < numberOfChannels; channel++) {
      const samples = recording.getChannelData(channel).slice(first, last);
      rise.forEach((weight, n) => {
        samples[n] *= weight;
        samples[samples.length - 1 - n] *= weight;
      });
      clip.copyToChannel(samples, channel);
    }
    return clip;
  }
}
