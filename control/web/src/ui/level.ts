/* How loud a microphone is, several times a second; for the meter before the call. */

const PERIOD_MS = 80;

/* Returns what ends it. */
export function watchLevel(
    track: MediaStreamTrack,
    onLevel: (level: number) => void, /* 0 to 1 */
): () => void {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    const samples = new Float32Array(analyser.fftSize);

    context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    void context.resume().catch(() => undefined); /* it waits for a click in some browsers */
    const timer = setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        const power = samples.reduce((sum, each) => sum + each * each, 0) / samples.length;
        /* -60 dB is silence, -6 dB as loud as it should be */
        const level = power > 0 ? (10 * Math.log10(power) + 60) / 54 : 0;
        onLevel(Math.min(1, Math.max(0, level)));
    }, PERIOD_MS);

    return () => {
        clearInterval(timer);
        void context.close();
    };
}
