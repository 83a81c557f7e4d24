/* How the client tells news: a value that can be watched, and named events. */

/* A value that changes in place.  Subscribers are called after a change, once for all that
 * changed in the same turn of the event loop. */
export class Observable<T> {
    private readonly listeners = new Set<(value: T) => void>();
    private due = false;

    constructor(readonly value: T) {}

    /* Returns what ends it. */
    subscribe(listener: (value: T) => void): () => void {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
    }

    changed(): void {
        if (this.due) {
            return;
        }
        this.due = true;
        queueMicrotask(() => {
            this.due = false;
            for (const listener of [...this.listeners]) {
                listener(this.value);
            }
        });
    }
}

/* Events by name; M maps each to what it carries. */
export class Emitter<M> {
    private readonly listeners = new Map<keyof M, Set<(payload: never) => void>>();

    /* Returns what ends it. */
    on<E extends keyof M>(event: E, listener: (payload: M[E]) => void): () => void {
        const set = this.listeners.get(event) ?? new Set();

        this.listeners.set(event, set);
        set.add(listener);
        return () => set.delete(listener);
    }

    emit<E extends keyof M>(event: E, payload: M[E]): void {
        for (const listener of [...(this.listeners.get(event) ?? [])]) {
            (listener as (payload: M[E]) => void)(payload);
        }
    }
}
