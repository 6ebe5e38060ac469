"""What the formats of Microsoft Office share: their package, its XML, drawings, equations and symbol fonts."""
