/* The chat: messages to all or to one, answers, reactions, and who is writing. */
import type { ChatMessage } from '../api.gen';
import { nameOf, type KcsClient } from '../client';
import { words } from '../words';
import type { Attempt } from './callview';
import { el, linked, putChildren, textButton } from './dom';
import { Menu, type Command } from './menu';
import type { Panel } from './panel';

const TYPING_MS = 3_000; /* one is no longer writing after this */

export class ChatPanel implements Panel {
    readonly title = words.chat.title;
    readonly body: HTMLElement;
    private readonly list = el('ol', {
        class: 'messages',
        'aria-live': 'polite',
        tabindex: '0',
        'aria-label': words.chat.title,
    });
    private readonly older = textButton(words.chat.older, () => this.more(), 'small');
    private readonly typing = el('p', { class: 'typing', role: 'status' });
    private readonly context = el('p', { class: 'context', hidden: true });
    private readonly to = el('select', { name: 'to', 'aria-label': words.chat.to });
    private readonly input = el('textarea', {
        name: 'message',
        rows: '2',
        maxlength: '4000',
        'aria-label': words.chat.write,
        placeholder: words.chat.write,
    });
    private client: KcsClient | undefined;
    private drawn = '';
    private items = new Map<string, { key: string; item: HTMLElement }>(); /* by message */
    private recipients = '';
    private replyTo: ChatMessage | undefined;
    private editing: ChatMessage | undefined;
    private typingTimer: number | undefined;

    constructor(private readonly attempt: Attempt) {
        const form = el(
            'form',
            { class: 'chat-form' },
            this.typing,
            this.context,
            this.to,
            el(
                'div',
                { class: 'row' },
                this.input,
                el('button', { type: 'submit', class: 'primary' }, words.chat.send),
            ),
        );

        form.addEventListener('submit', (event) => {
            event.preventDefault();
            void this.send();
        });
        this.input.addEventListener('keydown', (event) => {
            if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
                event.preventDefault();
                void this.send();
            } else if (event.key === 'Escape' && this.context.hidden === false) {
                event.stopPropagation();
                this.answer(undefined, undefined);
            }
        });
        this.input.addEventListener('input', () => this.tellTyping());
        this.body = el('div', { class: 'chat' }, this.older, this.list, form);
    }

    shown(): void {
        this.input.focus();
        this.list.scrollTop = this.list.scrollHeight;
    }

    /* Begins a message to one user. */
    writeTo(userId: string): void {
        this.to.value = userId;
        this.input.focus();
    }

    update(client: KcsClient): void {
        const room = client.room.value;
        const names = [...room.typing].flatMap((id) => nameOf(room, id) ?? []);

        this.client = client;
        this.older.hidden = room.chatMore === null;
        this.typing.textContent = words.chat.typing(names);
        this.updateRecipients(client);
        const now = JSON.stringify(room.chat);
        if (now !== this.drawn) {
            this.drawn = now;
            this.draw(room.chat);
        }
        client.talk.read();
    }

    private draw(entries: ChatMessage[]): void {
        const atEnd =
            this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;

        const before = this.items;

        this.items = new Map(
            entries.map((entry) => {
                const key = this.keyOf(entry);
                const known = before.get(entry.message_id);
                const item = known?.key === key ? known.item : this.message(entry);

                return [entry.message_id, { key, item }];
            }),
        );
        putChildren(
            this.list,
            entries.length === 0
                ? [el('li', { class: 'empty' }, words.chat.empty)]
                : [...this.items.values()].map(({ item }) => item),
        );
        if (atEnd) {
            this.list.scrollTop = this.list.scrollHeight;
        }
    }

    /* All that is shown of a message: one that shows the same stays, with its open menu. */
    private keyOf(entry: ChatMessage): string {
        const room = this.client?.room.value;
        const quoted = room?.chat.find((each) => each.message_id === entry.reply_to);
        const { message, display_name, timestamp, edited_at, deleted, to, reactions } = entry;

        return JSON.stringify([
            ...[message, display_name, timestamp, edited_at != null, deleted === true],
            ...[to == null ? '' : (room && nameOf(room, to)) ?? to, reactions ?? []],
            ...[quoted?.message, quoted?.display_name],
        ]);
    }

    private message(entry: ChatMessage): HTMLElement {
        const room = this.client?.room.value;
        const own = entry.user_id === room?.self.userId;
        const notes = [
            timeOf(entry.timestamp),
            entry.edited_at != null && entry.deleted !== true ? words.chat.edited : '',
            entry.to == null || room === undefined
                ? ''
                : words.chat.privately(nameOf(room, entry.to) ?? entry.to),
        ].filter(Boolean);
        const quoted = room?.chat.find((each) => each.message_id === entry.reply_to);
        const item = el(
            'li',
            { class: `message${own ? ' mine' : ''}${entry.to == null ? '' : ' private'}` },
            el(
                'header',
                {},
                el('strong', {}, entry.display_name || words.guest),
                el('span', { class: 'note' }, notes.join(' · ')),
            ),
        );

        if (quoted !== undefined) {
            item.append(
                el('blockquote', {}, `${quoted.display_name}: ${quoted.message.slice(0, 90)}`),
            );
        }
        item.append(
            el(
                'p',
                { class: entry.deleted === true ? 'gone' : 'text' },
                ...(entry.deleted === true ? [words.chat.deleted] : linked(entry.message)),
            ),
        );
        for (const { emoji, count } of entry.reactions ?? []) {
            item.append(
                textButton(
                    `${emoji} ${count}`,
                    () => this.react(entry, emoji),
                    'small pill',
                ),
            );
        }
        if (entry.deleted !== true) {
            item.querySelector('header')?.append(
                new Menu('more', words.chat.actions(entry.display_name), () =>
                    this.commands(entry, own),
                ).element,
            );
        }
        return item;
    }

    private commands(entry: ChatMessage, own: boolean): Command[] {
        const moderates = this.client?.own.may('moderate') === true;
        const id = entry.message_id;
        const list: Command[] = [
            { text: words.chat.replyTo, act: () => this.answer(entry, undefined) },
            ...Object.keys(words.emojis)
                .slice(0, 3)
                .map((emoji) => ({
                    text: `${words.chat.react} ${emoji}`,
                    act: () => this.react(entry, emoji),
                })),
        ];

        if (own) {
            list.push({ text: words.chat.edit, act: () => this.answer(undefined, entry) });
        }
        if (own || moderates) {
            list.push({
                text: words.chat.remove,
                act: () => void this.attempt(() => this.client?.talk.remove(id)),
            });
        }
        return list;
    }

    private react(entry: ChatMessage, emoji: string): void {
        void this.attempt(() => this.client?.talk.react(entry.message_id, emoji));
    }

    private answer(replyTo: ChatMessage | undefined, editing: ChatMessage | undefined): void {
        this.replyTo = replyTo;
        this.editing = editing;
        this.context.hidden = replyTo === undefined && editing === undefined;
        this.context.replaceChildren(
            editing !== undefined
                ? words.chat.editing
                : words.chat.replying(replyTo?.display_name ?? ''),
            textButton(words.cancel, () => this.answer(undefined, undefined)),
        );
        if (editing !== undefined) {
            this.input.value = editing.message;
        }
        this.input.focus();
    }

    private async send(): Promise<void> {
        const text = this.input.value.trim();
        const { client, editing, replyTo } = this;

        if (text === '' || client === undefined) {
            return;
        }
        const sent = await this.attempt(() =>
            editing !== undefined
                ? client.talk.edit(editing.message_id, text)
                : client.talk.send(text, {
                      to: this.to.value || undefined,
                      replyTo: replyTo?.message_id,
                  }),
        );
        if (sent) {
            this.input.value = '';
            this.answer(undefined, undefined);
            this.stopTyping();
            this.list.scrollTop = this.list.scrollHeight;
        }
    }

    private more(): void {
        void this.attempt(() => this.client?.talk.history());
    }

    private tellTyping(): void {
        if (this.typingTimer === undefined) {
            this.client?.talk.typing(true);
        }
        window.clearTimeout(this.typingTimer);
        this.typingTimer = window.setTimeout(() => this.stopTyping(), TYPING_MS);
    }

    private stopTyping(): void {
        if (this.typingTimer !== undefined) {
            window.clearTimeout(this.typingTimer);
            this.typingTimer = undefined;
            this.client?.talk.typing(false);
        }
    }

    private updateRecipients(client: KcsClient): void {
        const people = [...client.room.value.people.values()].slice(0, 200);
        const now = people.map(({ userId, name }) => `${userId} ${name}`).join('\n');

        if (now !== this.recipients) {
            this.recipients = now;
            const { value } = this.to;
            this.to.replaceChildren(
                el('option', { value: '' }, words.chat.everybody),
                ...people.map(({ userId, name }) => el('option', { value: userId }, name)),
            );
            this.to.value = people.some(({ userId }) => userId === value) ? value : '';
        }
    }
}

function timeOf(iso: string): string {
    return new Date(iso).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}
