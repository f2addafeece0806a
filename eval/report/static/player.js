// Plays several conditions of one recording behind one playhead (ITU-R BS.1534-3). All conditions loop in step all the
// time, each through its own gain. A switch fades the old gain out over 5 ms, then the new one in over 5 ms, as raised
// cosines that do not overlap.
//
//          gain A  ‾‾‾\____________        f: frame of the switch, N: 5 ms in frames
//          gain B  _______/‾‾‾‾‾‾‾‾        fades cover frames f ... f+N and f+N+1 ... f+2N+1
//
// select, start, pause, restart and loop only record the wanted state. #settle turns its difference from the audible
// state into fades. A scheduled fade is never cancelled: calls during a fade take effect when it ends, and only the
// latest wanted state counts. So no two curves overlap (setValueCurveAtTime would throw) and no gain jumps, however fast
// the keys are pressed.

const FADE_SECONDS = 0.005;
export const SHORTEST_LOOP_SECONDS = 0.5;
const QUANTUM = 128; // frames per rendering block of Web Audio

/**
 * Raised cosine from 1 to 0 or from 0 to 1. It has frames + 1 points, so that each frame falls on a point.
 *
 * @param {number} frames
 * @param {0 | 1} from
 * @returns {Float32Array}
 */
export function raisedCosine(frames, from) {
  const sign = from === 1 ? 1 : -1;
  return Float32Array.from({ length: frames + 1 }, (_, n) => (1 + sign * Math.cos((Math.PI * n) / frames)) / 2);
}

export class Player {
  index = 0; // the wanted condition; it becomes audible within two fades
  playing = false; // the wanted state, likewise

  #context;
  #recordings; // the buffers as given
  #clips; // the buffers that loop: the recordings, or their loop region with faded edges
  #gains;
  #fadeFrames;
  #clipStart = 0; // first frame of the clips in the recordings
  #sources = null; // one per condition; null while paused
  #startedAt = 0; // frame of the context at which the sources started
  #offset = 0; // frame of the clips at which they started, or will start next
  #audible = null; // the condition that plays after all scheduled fades; null: silence
  #jump = null; // { clips, clipStart } to continue with after the next fade-out
  #free = 0; // first frame after all scheduled fades
  #timer = 0; // runs until #free while a call waits for it

  /**
   * @param {BaseAudioContext} context
   * @param {AudioBuffer[]} buffers one per condition, of equal length, at the sample rate of the context
   */
  constructor(context, buffers) {
    this.#context = context;
    this.#recordings = this.#clips = buffers;
    this.#fadeFrames = Math.round(FADE_SECONDS * context.sampleRate);
    this.#gains = buffers.map(() => new GainNode(context, { gain: 0 }));
    for (const gain of this.#gains) gain.connect(context.destination);
  }

  /** Length of the recordings in seconds. */
  get duration() {
    return this.#recordings[0].duration;
  }

  /** Playhead in seconds from the start of the recordings. */
  get position() {
    return (this.#clipStart + this.#frameOfClip(this.#context.currentTime * this.#rate)) / this.#rate;
  }

  /**
   * Switch to condition `index`.
   *
   * @param {number} index
   * @param {number} [when] context time in seconds, for this and the methods below; default: as soon as possible.
   *   Scheduled calls must come in order of time.
   */
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

  /** Return to the start of the loop, and keep playing or stay paused. */
  restart(when) {
    this.#jump ??= { clips: this.#clips, clipStart: this.#clipStart };
    this.#change(when);
  }

  /**
   * Loop the recordings from `start` to `end` seconds, at least 500 ms, beginning at `start`. The edges are faded like a
   * switch, so that the loop does not click where it closes. Without arguments, loop the whole recordings unfaded.
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

  /** First frame that the audio thread cannot have rendered yet: it renders one device buffer at a time. */
  get #nextFrame() {
    const ahead = this.#context.baseLatency ? Math.ceil(this.#context.baseLatency * this.#rate) + QUANTUM : 0;
    return Math.round(this.#context.currentTime * this.#rate) + ahead;
  }

  /** Apply the wanted state at time `when`; without it now, or once the scheduled fades are over. */
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

  /** Schedule the fades that lead from the audible to the wanted state, from `frame` on. */
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

  // Sources start on whole frames: between two frames they would be interpolated, which attenuates high frequencies.
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
    for (const source of this.#sources) source.stop(frame / this.#rate);
    this.#sources = null;
  }

  /** Frame of the clips that plays at frame `frame` of the context. */
  #frameOfClip(frame) {
    const elapsed = this.#sources === null ? 0 : Math.max(0, frame - this.#startedAt);
    return (this.#offset + elapsed) % this.#clips[0].length;
  }

  /** Copy frames `first` to `last` of a recording, with faded edges. */
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
