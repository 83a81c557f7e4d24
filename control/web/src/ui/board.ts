/* The whiteboard: strokes on a canvas.  An operation is {op: 'stroke', colour, points}, its
 * coordinates 0 to 1 of the board, whatever its size here. */
import type { WhiteboardOp } from '../api.gen';
import type { KcsClient } from '../client';
import { words } from '../words';
import type { Attempt } from './callview';
import { el, textButton } from './dom';
import type { Panel } from './panel';

const COLOURS = ['#191c26', '#c62f3b', '#2b5fd0', '#1d7a3e'];
const ASPECT = 4 / 3;
const SEND_MS = 100; /* what was drawn meanwhile goes as one operation */
const MAX_POINTS = 400; /* read of one operation of others */

type Point = [number, number];

export class BoardPanel implements Panel {
    readonly title = words.board;
    readonly body: HTMLElement;
    private readonly canvas = el('canvas', {
        class: 'board',
        role: 'img',
        'aria-label': words.whiteboard.label,
    });
    private readonly tools = el('div', { class: 'panel-tools' });
    private readonly view = el('p', { class: 'note' }, words.whiteboard.view);
    private readonly colour = el('select', { 'aria-label': words.whiteboard.colour });
    private client: KcsClient | undefined;
    private stroke: Point[] = []; /* not sent yet; its first point is the last that was */
    private timer: number | undefined;
    private painted = -1;

    constructor(private readonly attempt: Attempt) {
        this.colour.append(
            ...COLOURS.map((value, i) =>
                el('option', { value }, words.whiteboard.colours[i] ?? value),
            ),
        );
        this.tools.append(
            this.colour,
            textButton(
                words.whiteboard.clear,
                () => void this.attempt(() => this.client?.talk.clearBoard()),
            ),
        );
        this.canvas.addEventListener('pointerdown', (event) => this.begin(event));
        this.canvas.addEventListener('pointermove', (event) => this.move(event));
        for (const end of ['pointerup', 'pointercancel']) {
            this.canvas.addEventListener(end, () => this.end());
        }
        new ResizeObserver(() => this.paint()).observe(this.canvas);
        this.body = el('div', { class: 'whiteboard' }, this.tools, this.view, this.canvas);
    }

    shown(client: KcsClient): void {
        void this.attempt(() => client.talk.loadBoard());
    }

    update(client: KcsClient): void {
        const may = client.own.may('present');

        this.client = client;
        this.tools.hidden = !may;
        this.view.hidden = may;
        if (client.room.value.board.ops.length !== this.painted) {
            this.paint();
        }
    }

    private at(event: PointerEvent): Point {
        const box = this.canvas.getBoundingClientRect();
        const inside = (value: number): number =>
            Math.round(Math.min(1, Math.max(0, value)) * 10_000) / 10_000;

        return [
            inside((event.clientX - box.left) / box.width),
            inside((event.clientY - box.top) / box.height),
        ];
    }

    private begin(event: PointerEvent): void {
        if (this.client?.own.may('present')) {
            this.canvas.setPointerCapture(event.pointerId);
            this.stroke = [this.at(event)];
        }
    }

    private move(event: PointerEvent): void {
        if (this.stroke.length > 0) {
            this.stroke.push(this.at(event));
            this.paint();
            this.timer ??= window.setTimeout(() => this.send(), SEND_MS);
        }
    }

    private end(): void {
        this.send();
        this.stroke = [];
    }

    private send(): void {
        window.clearTimeout(this.timer);
        this.timer = undefined;
        const points = this.stroke;
        if (points.length < 2) {
            return;
        }
        this.stroke = points.slice(-1);
        void this.attempt(() =>
            this.client?.talk.draw([{ op: 'stroke', colour: this.colour.value, points }]),
        );
    }

    private paint(): void {
        const context = this.canvas.getContext('2d');
        const width = Math.round(this.canvas.clientWidth * window.devicePixelRatio);
        const ops = this.client?.room.value.board.ops ?? [];

        if (context === null || width === 0) {
            return;
        }
        this.painted = ops.length;
        this.canvas.width = width;
        this.canvas.height = Math.round(width / ASPECT);
        context.lineWidth = Math.max(2, width / 250);
        context.lineCap = 'round';
        context.lineJoin = 'round';
        const own = { op: 'stroke', colour: this.colour.value, points: this.stroke };
        for (const op of [...ops, own]) {
            this.paintStroke(context, op);
        }
    }

    private paintStroke(context: CanvasRenderingContext2D, op: WhiteboardOp): void {
        const points = op['points'];

        if (op.op !== 'stroke' || !Array.isArray(points)) {
            return; /* of another client's kind */
        }
        const { width, height } = this.canvas;
        const colour = op['colour'];
        context.strokeStyle = COLOURS.find((each) => each === colour) ?? COLOURS[0] ?? '';
        context.beginPath();
        for (const point of points.slice(0, MAX_POINTS) as unknown[]) {
            if (Array.isArray(point)) {
                context.lineTo(Number(point[0]) * width, Number(point[1]) * height);
            }
        }
        context.stroke();
    }
}
