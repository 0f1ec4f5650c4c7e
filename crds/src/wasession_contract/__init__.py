"""What every part agrees on: the resource, its conditions, names, and the wire between operator, pod and facade."""
