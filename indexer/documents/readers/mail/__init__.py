"""The parts of a mail: its header, its entities (texts and attachments), what a text quotes, and mailboxes of mails."""
